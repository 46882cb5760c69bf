//! A byte budget limits the memory of one unit of work, whatever its input decodes to.

/// The bytes that one unit of work may use: a record, a batch, a page of the log.
///
/// Decoders and readers reserve from it before they allocate. A reader that always makes progress consumes what it has
/// decoded, even beyond the limit, and then stops or drops what it can read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteBudget {
    limit: usize,
    used: usize,
}

/// The bytes exceed what remains of a budget.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes exceed the {remaining} bytes that remain of a budget of {limit}")]
pub struct BudgetExceeded {
    /// The bytes that were to be reserved.
    pub bytes: usize,
    /// The bytes that remain.
    pub remaining: usize,
    /// The bytes of the entire budget.
    pub limit: usize,
}

impl ByteBudget {
    /// Creates a budget of `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, used: 0 }
    }

    /// Returns the number of bytes that remain.
    pub const fn remaining(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// Whether no byte remains.
    pub const fn is_exhausted(&self) -> bool {
        self.remaining() == 0
    }

    /// Whether more was consumed than the limit.
    pub const fn is_exceeded(&self) -> bool {
        self.used > self.limit
    }

    /// Reserves bytes. Fails without a change if fewer remain.
    pub const fn try_reserve(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        if bytes > self.remaining() {
            return Err(BudgetExceeded { bytes, remaining: self.remaining(), limit: self.limit });
        }
        self.consume(bytes);
        Ok(())
    }

    /// Consumes bytes, even if fewer remain: the value that was decoded last may exceed the budget.
    pub const fn consume(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
    }

    /// Returns bytes to the budget whose memory was freed.
    pub const fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
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

    #[test]
    fn reserving_more_than_remains_changes_nothing() {
        let mut budget = ByteBudget::new(10);
        assert_eq!(budget.try_reserve(4), Ok(()));
        assert_eq!(budget.try_reserve(7), Err(BudgetExceeded { bytes: 7, remaining: 6, limit: 10 }));
        assert_eq!(budget.try_reserve(6), Ok(()));
        assert!(budget.is_exhausted() && !budget.is_exceeded());
    }

    #[test]
    fn released_bytes_can_be_reserved_again() {
        let mut budget = ByteBudget::new(10);
        budget.consume(25);
        assert!(budget.is_exceeded());
        budget.release(15);
        assert!(!budget.is_exceeded());
        assert_eq!(budget.try_reserve(1).map_err(|error| error.remaining), Err(0));
        budget.release(usize::MAX);
        assert_eq!(budget.remaining(), 10);
    }
}
