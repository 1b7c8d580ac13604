"""What people see: a frozen view and a language become an Adaptive Card. No network, no database, no clock."""
