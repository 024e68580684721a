//! The networks of Distill-and-Select.
