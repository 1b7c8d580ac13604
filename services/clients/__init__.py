"""Microsoft Graph, Exchange Online and Entra over HTTP: each call is built, sent and parsed; see http.py first."""
