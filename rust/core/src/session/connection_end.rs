//! What the end of a connection, or of an attempt to make one, means to the conversation.

use crate::conversation::ConnectionEnd;
use crate::transport::CloseReason;
use crate::transport::net::ConnectError;

impl From<CloseReason> for ConnectionEnd {
    fn from(ended: CloseReason) -> Self {
        Self {
            reason: ended.to_string(),
            is_clean: ended.is_clean(),
            is_ours: ended == CloseReason::ClosedByUs,
            code: ended.code(),
            is_retryable: ended.is_retryable(),
            ..Self::default()
        }
    }
}

impl From<&ConnectError> for ConnectionEnd {
    fn from(error: &ConnectError) -> Self {
        Self {
            reason: error.to_string(),
            code: error.close_code(),
            status: error.status(),
            error_code: error.code().map(Box::from),
            is_retryable: error.is_retryable(),
            retry_after: error.retry_after(),
            ..Self::default()
        }
    }
}
