//! Which calls to MCP servers, and which listings of their tools, failed: each failure is told once,
//! although the server states it in several events.

use std::collections::VecDeque;

/// How many calls and listings are remembered.
const MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct McpFailures {
    /// The listings by their items, with the labels of their servers.
    listings: VecDeque<(String, String)>,
    /// The items that failed, and whether that was told.
    failed: VecDeque<(String, bool)>,
}

impl McpFailures {
    /// Takes note of a listing of tools.
    pub(super) fn listing(&mut self, item_id: &str, server_label: Option<&str>) {
        let known = self.listings.iter().any(|(id, _)| id == item_id);
        if let (false, Some(label)) = (known, server_label) {
            self.listings
                .push_back((item_id.to_owned(), label.to_owned()));
            if self.listings.len() > MAX {
                self.listings.pop_front();
            }
        }
    }

    /// The label of the server whose tools were to be listed.
    pub(super) fn label(&self, item_id: &str) -> Option<&str> {
        let mut listings = self.listings.iter();
        listings
            .find(|(id, _)| id == item_id)
            .map(|(_, label)| &**label)
    }

    /// Takes note that an item failed.
    pub(super) fn failed(&mut self, item_id: &str) {
        if !self.has_failed(item_id) {
            self.failed.push_back((item_id.to_owned(), false));
            if self.failed.len() > MAX {
                self.failed.pop_front();
            }
        }
    }

    pub(super) fn has_failed(&self, item_id: &str) -> bool {
        self.failed.iter().any(|(id, _)| id == item_id)
    }

    /// Whether the failure of an item is to be told now: it was not before.
    pub(super) fn tell(&mut self, item_id: &str) -> bool {
        self.failed(item_id);
        let mut failed = self.failed.iter_mut();
        failed
            .find(|(id, _)| id == item_id)
            .is_some_and(|(_, told)| !std::mem::replace(told, true))
    }

    /// The items whose failure was not told yet.
    pub(super) fn untold(&self) -> Vec<String> {
        let untold = self.failed.iter().filter(|(_, told)| !told);
        untold.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn reset(&mut self) {
        self.listings.clear();
        self.failed.clear();
    }
}
