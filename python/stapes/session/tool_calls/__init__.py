"""The function calls of the model: approvals, guardrails, tools, handoffs."""
