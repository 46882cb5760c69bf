//! A byte budget limits the memory of one unit of work, whatever its input decodes to.

/// The number of bytes that decoding may still use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteBudget {
    remaining: usize,
}

impl ByteBudget {
    /// Creates a budget of `bytes` bytes.
    pub const fn new(bytes: usize) -> Self {
        Self { remaining: bytes }
    }

    /// Whether no byte remains.
    pub const fn is_exhausted(&self) -> bool {
        self.remaining == 0
    }

    /// Consumes bytes of the budget. Consuming more than remains exhausts it: the value that was being decoded may exceed
    /// the budget.
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
