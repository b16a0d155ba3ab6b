//! Records as a reader sees them.
