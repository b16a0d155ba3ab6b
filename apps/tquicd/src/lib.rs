//! Placeholder for the build of dependencies.
