"""Microsoft Graph v1.0 and beta, as far as mail security needs it; one module per part of the service."""
