//! Vectors of RFC 9001 appendix A, RFC 9369 appendix A and multipath §2.4.
