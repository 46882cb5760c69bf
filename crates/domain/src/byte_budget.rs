//! A budget of bytes, so that the memory for one unit of work is bounded whatever its input decodes to.

/// Bytes that decoding may still use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteBudget {
    remaining: usize,
}

impl ByteBudget {
    /// A budget of that many bytes.
    pub const fn new(bytes: usize) -> Self {
        Self { remaining: bytes }
    }

    /// Whether nothing is left.
    pub const fn is_exhausted(&self) -> bool {
        self.remaining == 0
    }

    /// Uses bytes of the budget. More than what is left exhausts it: the last value that was begun may exceed the budget.
    pub const fn consume(&mut self, bytes: usize) {
        self.remaining = self.remaining.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_exhausted_by_its_last_byte() {
        let mut budget = ByteBudget::new(10);
        budget.consume(9);
        assert!(!budget.is_exhausted());
        budget.consume(2);
        assert!(budget.is_exhausted());
    }
}
