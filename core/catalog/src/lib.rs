//! The instance types that EC2 knows, with their limits.
