//! Dead letters: what could not be processed or delivered is collected, listed, shown and sent again.

pub mod collector;
pub mod queries;
pub mod redrive;
