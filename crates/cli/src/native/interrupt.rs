//! Ctrl-C: the first asks the command to end in good order, the second ends it at once.

use std::sync::OnceLock;

use vidsieve_video::CancelToken;

/// The flag that Ctrl-C (or a polite request to end) sets.
pub(crate) fn flag() -> CancelToken {
    static FLAG: OnceLock<CancelToken> = OnceLock::new();
    FLAG.get_or_init(|| {
        let flag = CancelToken::new();
        let set = flag.clone();
        // Without a handler Ctrl-C ends the program at once, which does no harm either.
        let _ = ctrlc::set_handler(move || {
            if set.is_cancelled() {
                std::process::exit(130);
            }
            set.cancel();
        });
        flag
    })
    .clone()
}
