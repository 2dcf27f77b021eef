"""The provider's tracing of a session."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["tracing_config"]

logger = logging.getLogger("stapes")


def tracing_config(
    *,
    disabled: bool,
    workflow_name: str | None,
    group_id: str | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any] | str | None:
    """The `tracing` of the session's configuration."""
    if disabled:
        return None
    if not workflow_name:
        if group_id or metadata:
            logger.warning("group_id and trace_metadata need a workflow_name: they are left out")
        return "auto"
    tracing: dict[str, Any] = {"workflow_name": workflow_name}
    if group_id:
        tracing["group_id"] = group_id
    if metadata:
        tracing["metadata"] = dict(metadata)
    return tracing
