"""What is true and what gets done: cases, the remediation workflow, approvals, clients, the store."""
