"""The stand-in for Dataphin Manager: its state, its rules and its HTTP interface."""
