//! Emulated links between network namespaces.
