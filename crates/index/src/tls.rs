//! The cryptography of TLS connections to stores and endpoints.

/// Makes `ring` the process's provider of cryptography, unless the program has installed one already. HTTP clients must not be
/// built before. `ring` serves in place of the default of `rustls`, whose library takes a minute to build.
pub fn install_provider() {
    // An error says that there is a provider: the program's own choice stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
