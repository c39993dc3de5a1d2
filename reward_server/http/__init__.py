"""JSON over HTTP beside gRPC: the same servicer, other clothes. Needs the extra `http`."""
