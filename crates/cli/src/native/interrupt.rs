//! Ctrl-C: the first asks the command to end in good order, the second ends it at once.

use std::sync::OnceLock;

use vidsieve::CancelToken;

/// Returns the token that Ctrl-C, or another polite request to end, sets.
pub(crate) fn token() -> CancelToken {
    static TOKEN: OnceLock<CancelToken> = OnceLock::new();
    TOKEN
        .get_or_init(|| {
            let token = CancelToken::new();
            let set = token.clone();
            // Without a handler Ctrl-C ends the program at once, which does no harm either.
            let _ = ctrlc::set_handler(move || {
                if set.is_cancelled() {
                    std::process::exit(130);
                }
                set.cancel();
            });
            token
        })
        .clone()
}
