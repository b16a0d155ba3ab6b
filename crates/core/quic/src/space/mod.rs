//! Packet number spaces (placeholder until the ring and the ack ranges land).
