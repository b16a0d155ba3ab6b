//! Datagram queues and frames.
