//! One-time tokens: what a carrier brings back proves that its call was answered here.
//!
//! A token is minted for the path that the carrier is sent to, goes out with the answer to the
//! webhook, and comes back with the stream. It is good once, for one path, and for a short time.
//! In URL-safe base64 it is 57 bytes: version, expiry, nonce, tag of the path, tag of the token.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use ring::hmac::{HMAC_SHA256, Key, sign};
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;

/// How long a token is good, unless the user chooses otherwise: carriers connect within seconds.
pub const LIFETIME: Duration = Duration::from_secs(60);
/// The shortest secret of a user's, in bytes.
pub const SECRET_MIN: usize = 16;
/// How many used tokens are remembered; beyond it no token is accepted. Only tokens that were made
/// with the secret are remembered, so that a stranger cannot fill the memory.
pub const USED_MAX: usize = 65_536;

const VERSION: u8 = 1;
const EXPIRY: usize = 1;
const NONCE: usize = EXPIRY + 8;
const PATH_TAG: usize = NONCE + 16;
const TAG: usize = PATH_TAG + 16;
const LENGTH: usize = TAG + 16;

/// Why tokens cannot be minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MintError {
    /// A short secret can be guessed.
    #[error(
        "secret has {length} bytes: at least {SECRET_MIN} are needed, such as those of \
         secrets.token_urlsafe(32), the same for all workers"
    )]
    ShortSecret {
        /// Its length.
        length: usize,
    },
    /// Tokens would be over when they are minted.
    #[error("lifetime is 0: give the seconds that a carrier has to connect, such as 60")]
    NoLifetime,
    /// The operating system has no random numbers.
    #[error("the operating system gives no random numbers, without which no token can be made")]
    NoRandomness,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no token of this kind, or none at all.
    #[error(
        "there is no call token, or it is none of stapes: the caller was not sent here by an answer \
         with a token (tokens=), or the token was cut"
    )]
    Malformed,
    /// Nobody who has the secret has made it.
    #[error(
        "the call token was not made with this secret: workers that share calls must have the same secret \
         (secret=), and without one a token does not outlive its process"
    )]
    Forged,
    /// It was not brought back in time.
    #[error(
        "the call token expired {} s ago: the carrier was slow (lifetime=), the clocks of two workers differ, \
         or somebody sent it again",
        late.as_secs_f64()
    )]
    Expired {
        /// Since when.
        late: Duration,
    },
    /// It is for another path.
    #[error(
        "the call token was made for another path than this: behind a proxy that changes paths, make it for \
         the path that this server sees (token_path=)"
    )]
    OtherPath,
    /// It was brought before.
    #[error(
        "the call token was used before: somebody sent it again, or the carrier connected twice"
    )]
    Used,
    /// No more used ones can be remembered, so that using them twice could not be noticed.
    #[error(
        "{USED_MAX} call tokens were used within two lifetimes and no more can be remembered: choose a \
         shorter lifetime (lifetime=)"
    )]
    TooMany,
}

/// Mints and checks tokens. Times are those since the Unix epoch: workers may share the secret.
///
/// That a token is used twice is noticed where it was used the first time: workers that share a
/// secret do not share what they remember.
pub struct CallTokens {
    key: Key,
    lifetime: Duration,
    /// The expiry and the nonce of the tokens that were used.
    used: Mutex<BTreeSet<(u64, [u8; 16])>>,
}

impl fmt::Debug for CallTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTokens")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl CallTokens {
    /// With a user's secret, or with a random one that no other process has.
    pub fn new(secret: Option<&[u8]>, lifetime: Duration) -> Result<Self, MintError> {
        if lifetime.is_zero() {
            return Err(MintError::NoLifetime);
        }
        let key = match secret {
            Some(secret) if secret.len() < SECRET_MIN => {
                let length = secret.len();
                return Err(MintError::ShortSecret { length });
            }
            Some(secret) => Key::new(HMAC_SHA256, secret),
            None => Key::new(HMAC_SHA256, &random::<32>()?),
        };
        let used = Mutex::default();
        Ok(Self {
            key,
            lifetime,
            used,
        })
    }

    /// How long a token is good.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Makes a token for a path.
    pub fn mint(&self, path: &str, now: Duration) -> Result<String, MintError> {
        let expiry = milliseconds(now.saturating_add(self.lifetime));
        let mut token = [0; LENGTH];
        token[0] = VERSION;
        token[EXPIRY..NONCE].copy_from_slice(&expiry.to_be_bytes());
        token[NONCE..PATH_TAG].copy_from_slice(&random::<16>()?);
        token[PATH_TAG..TAG].copy_from_slice(&self.tag(b"path", path.as_bytes()));
        let tag = self.tag(b"token", &token[..TAG]);
        token[TAG..].copy_from_slice(&tag);
        Ok(URL_SAFE_NO_PAD.encode_to_string(token))
    }

    /// Accepts a token for a path, this once.
    pub fn check(&self, token: &str, path: &str, now: Duration) -> Result<(), TokenError> {
        let token = decoded(token).ok_or(TokenError::Malformed)?;
        if !same(&self.tag(b"token", &token[..TAG]), &token[TAG..]) {
            return Err(TokenError::Forged);
        }
        let expiry = u64::from_be_bytes(part(&token, EXPIRY));
        let now = milliseconds(now);
        if now >= expiry {
            let late = Duration::from_millis(now - expiry);
            return Err(TokenError::Expired { late });
        }
        if !same(&self.tag(b"path", path.as_bytes()), &token[PATH_TAG..TAG]) {
            return Err(TokenError::OtherPath);
        }
        self.remember((expiry, part(&token, NONCE)), now)
    }

    fn remember(&self, token: (u64, [u8; 16]), now: u64) -> Result<(), TokenError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains(&token) {
            return Err(TokenError::Used);
        }
        // Longer than they are good: a clock that is set back must not make them good again.
        let over = now.saturating_sub(milliseconds(self.lifetime));
        while used.first().is_some_and(|&(expiry, _)| expiry <= over) {
            used.pop_first();
        }
        if used.len() >= USED_MAX {
            return Err(TokenError::TooMany);
        }
        used.insert(token);
        Ok(())
    }

    /// 128 bits of the HMAC of `content`; `of` keeps the two uses of the key apart.
    fn tag(&self, of: &[u8], content: &[u8]) -> [u8; 16] {
        let message = [b"stapes call token\0", of, b"\0", content].concat();
        part(sign(&self.key, &message).as_ref(), 0)
    }
}

fn random<const N: usize>() -> Result<[u8; N], MintError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| MintError::NoRandomness)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn decoded(token: &str) -> Option<[u8; LENGTH]> {
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(token).ok()?;
    let bytes = <[u8; LENGTH]>::try_from(bytes).ok()?;
    (bytes[0] == VERSION).then_some(bytes)
}

/// The `N` bytes from `start` on, which the caller has.
fn part<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[start..start + N]);
    part
}

/// Whether the bytes are the same, in a time that does not depend on where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn tokens() -> CallTokens {
        CallTokens::new(None, LIFETIME).unwrap()
    }

    #[test]
    fn a_token_is_good_once() {
        let tokens = tokens();
        let token = tokens.mint("/twilio", NOW).unwrap();
        assert_eq!(tokens.check(&token, "/twilio", NOW + SECOND), Ok(()));
        let again = tokens.check(&token, "/twilio", NOW + SECOND);
        assert_eq!(again, Err(TokenError::Used));
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let tokens = tokens();
        let mint = || tokens.mint("/", NOW).unwrap();
        let last = NOW + Duration::from_millis(59_999);
        assert_eq!(tokens.check(&mint(), "/", last), Ok(()));
        let late = Duration::from_millis(1500);
        let expired = tokens.check(&mint(), "/", NOW + LIFETIME + late);
        assert_eq!(expired, Err(TokenError::Expired { late }));
        assert!(expired.unwrap_err().to_string().contains("1.5 s ago"));
    }

    #[test]
    fn a_token_for_another_path_is_not_used_up() {
        let tokens = tokens();
        let token = tokens.mint("/a", NOW).unwrap();
        assert_eq!(tokens.check(&token, "/b", NOW), Err(TokenError::OtherPath));
        assert_eq!(tokens.check(&token, "/a", NOW), Ok(()));
    }

    #[test]
    fn a_token_of_another_secret_is_forged() {
        let token = tokens().mint("/", NOW).unwrap();
        assert_eq!(tokens().check(&token, "/", NOW), Err(TokenError::Forged));
    }

    #[test]
    fn workers_that_share_a_secret_accept_each_others_tokens() {
        let worker = || CallTokens::new(Some(b"sixteen or more bytes"), LIFETIME).unwrap();
        let token = worker().mint("/", NOW).unwrap();
        assert_eq!(worker().check(&token, "/", NOW), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_used_token_good_again() {
        let tokens = tokens();
        let first = tokens.mint("/", NOW).unwrap();
        tokens.check(&first, "/", NOW).unwrap();
        let later = NOW + LIFETIME + SECOND;
        let second = tokens.mint("/", later).unwrap();
        tokens.check(&second, "/", later).unwrap();
        assert_eq!(tokens.check(&first, "/", NOW), Err(TokenError::Used));
    }

    #[test]
    fn used_tokens_are_forgotten_and_beyond_their_bound_none_is_accepted() {
        let tokens = tokens();
        for number in 0..USED_MAX as u128 {
            let used = (milliseconds(NOW + LIFETIME), number.to_be_bytes());
            assert_eq!(tokens.remember(used, milliseconds(NOW)), Ok(()));
        }
        let check = |now| tokens.check(&tokens.mint("/", now).unwrap(), "/", now);
        assert_eq!(check(NOW), Err(TokenError::TooMany));
        assert_eq!(check(NOW + LIFETIME), Err(TokenError::TooMany));
        assert_eq!(check(NOW + 2 * LIFETIME), Ok(()));
        assert_eq!(tokens.used.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_short_secret_and_no_lifetime_are_the_users_mistakes() {
        let short = CallTokens::new(Some(&[0; SECRET_MIN - 1]), LIFETIME).unwrap_err();
        assert_eq!(short, MintError::ShortSecret { length: 15 });
        let none = CallTokens::new(None, Duration::ZERO).unwrap_err();
        assert_eq!(none, MintError::NoLifetime);
        assert!(CallTokens::new(Some(&[0; SECRET_MIN]), Duration::MAX).is_ok());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let tokens = CallTokens::new(Some(b"sixteen or more bytes"), LIFETIME).unwrap();
        assert_eq!(format!("{tokens:?}"), "CallTokens { lifetime: 60s, .. }");
    }

    fn is_url_safe(token: &str) -> bool {
        let safe = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        token.bytes().all(safe)
    }

    proptest! {
        #[test]
        fn a_token_is_good_for_its_path_and_time_alone(
            path in ".{0,40}",
            other in ".{0,40}",
            lifetime in 1_u64..1_000_000,
            wait in 0_u64..2_000_000,
        ) {
            let tokens = CallTokens::new(None, Duration::from_millis(lifetime)).unwrap();
            let token = tokens.mint(&path, NOW).unwrap();
            prop_assert!(is_url_safe(&token) && token.len() == 76, "{}", token);
            let then = NOW + Duration::from_millis(wait);
            if wait >= lifetime {
                let late = Duration::from_millis(wait - lifetime);
                prop_assert_eq!(tokens.check(&token, &path, then), Err(TokenError::Expired { late }));
                return Ok(());
            }
            if other != path {
                prop_assert_eq!(tokens.check(&token, &other, then), Err(TokenError::OtherPath));
            }
            prop_assert_eq!(tokens.check(&token, &path, then), Ok(()));
            prop_assert_eq!(tokens.check(&token, &path, then), Err(TokenError::Used));
        }

        #[test]
        fn a_token_with_any_bit_changed_is_not_accepted(bit in 0..LENGTH * 8) {
            let tokens = tokens();
            let token = tokens.mint("/", NOW).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode_to_vec(&token).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let changed = URL_SAFE_NO_PAD.encode_to_string(&bytes);
            let expected = if bit < 8 { TokenError::Malformed } else { TokenError::Forged };
            prop_assert_eq!(tokens.check(&changed, "/", NOW), Err(expected));
            prop_assert_eq!(tokens.check(&token, "/", NOW), Ok(()));
        }

        #[test]
        fn any_other_text_is_malformed(text in ".{0,100}") {
            prop_assert_eq!(tokens().check(&text, "/", NOW), Err(TokenError::Malformed));
        }
    }
}
