//! Vectors of the RFCs and round trips.
