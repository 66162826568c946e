"""The provider beside node's `oidc-provider` and beside what the machine allows: `make bench-provider`."""
