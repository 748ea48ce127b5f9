//! Processes of every descent.
