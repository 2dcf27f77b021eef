//! Messages both ways.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::support::answerer::Answerer;
use crate::support::caller::Caller;

fn event(kind: &str, text: &str) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("type".to_owned(), kind.into());
    event.insert("text".to_owned(), text.into());
    event
}

#[tokio::test]
async fn messages_go_both_ways_in_order_and_the_call_has_a_name() {
    let mut answerer = Answerer::start().await;
    let (mut caller, far) = Caller::call(&mut answerer).await;
    assert_eq!(caller.call_id.as_deref(), Some("rtc_test"));
    let at = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let since = caller.server_date.unwrap().duration_since(at).unwrap();
    assert!(since < Duration::from_secs(60), "{since:?}");
    for n in 0..50 {
        let event = event("x.test", &format!("up {n}"));
        caller
            .session
            .act(|conversation, now| conversation.send_event(event, now))
            .unwrap();
    }
    for n in 0..50 {
        assert!(far.text().await.contains(&format!("up {n}\"")));
    }
    for n in 0..50 {
        far.say(&format!(r#"{{"type":"x.down.{n}."}}"#)).await;
    }
    for n in 0..50 {
        caller.until_read(&format!("x.down.{n}.")).await;
    }
}

#[tokio::test]
async fn the_offer_carries_key_and_type_and_one_address_that_leads_here() {
    let mut answerer = Answerer::start().await;
    let (_caller, _far) = Caller::call(&mut answerer).await;
    let request = answerer.requests.recv().await.unwrap();
    let (head, offer) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /v1/realtime/calls?model=test HTTP/1.1"),
        "{head}"
    );
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/sdp"), "{head}");
    assert!(head.contains("authorization: bearer sk-1234567"), "{head}");
    let media: Vec<_> = offer
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(media.len(), 2, "{offer}");
    assert!(
        offer.contains("a=sendrecv") && offer.contains("opus/48000/2"),
        "{offer}"
    );
    let candidates: Vec<_> = offer
        .lines()
        .filter(|line| line.starts_with("a=candidate"))
        .collect();
    assert!(!candidates.is_empty());
    assert!(
        candidates.iter().all(|line| line.contains(" 127.0.0.1 ")),
        "{offer}"
    );
    assert!(
        offer.contains("a=end-of-candidates"),
        "not trickled: {offer}"
    );
}

#[tokio::test]
async fn a_long_message_arrives_whole_and_one_that_is_too_long_ends_the_call_by_name() {
    let mut answerer = Answerer::start().await;
    let (caller, far) = Caller::call(&mut answerer).await;
    let say = |text: &str| {
        let event = event("x.test", text);
        caller
            .session
            .act(|conversation, now| conversation.send_event(event, now))
            .unwrap();
    };
    say(&"x".repeat(200_000));
    assert!(far.text().await.len() > 200_000);
    say(&"x".repeat(300_000));
    let reason = caller.ended().await;
    assert!(reason.contains("longer than the server takes"), "{reason}");
}
