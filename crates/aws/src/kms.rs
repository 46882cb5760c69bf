//! KMS adapter: what is sealed under the key of the stack.

mod sealer;

pub use sealer::KmsSealer;
