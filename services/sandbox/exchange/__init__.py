"""The Exchange admin route `InvokeCommand`: cmdlets over HTTP. Undocumented; built from what callers observed."""
