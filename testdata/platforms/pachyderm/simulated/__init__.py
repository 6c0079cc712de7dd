"""A Kubernetes cluster with Pachyderm on it, small enough for tests. Everything is kept in one folder, the laboratory."""
