//! Exponential, logistic function and hyperbolic tangent without branches or calls: loops over them become vector code, and
//! the results are the same on every target.

/// `e^x` to 2 units in the last place for results that are normal numbers; 0 below, the largest power above.
///
/// Without branches or calls, so that loops over it become vector code on every target, and the same on each:
/// `x = n ln 2 + r`, `|r| <= ln 2 / 2`, and the Taylor polynomial of degree 7 (remainder < 6e-9 of the value).
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    let x = x.clamp(-87.3, 88.3);
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first with few bits, so that n * LN2_HIGH is exact.
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    p * f32::from_bits(((exponent + 127) << 23) as u32)
}

/// Hyperbolic tangent, absolute error below 2e-7.
#[inline(always)]
#[must_use]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x.clamp(-20.0, 20.0)) + 1.0)
}

/// Logistic function, absolute error below 2e-7.
#[inline(always)]
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x.clamp(-80.0, 80.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_agree_with_double_precision() {
        let mut worst = [0f64; 3];
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            worst[0] = worst[0].max((f64::from(exp(x)) - exact).abs() / exact);
            worst[1] = worst[1].max((f64::from(tanh(x)) - f64::from(x).tanh()).abs());
            worst[2] = worst[2].max((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-f64::from(x)).exp())).abs());
        }
        assert!(worst[0] < 3e-7 && worst[1] < 2e-7 && worst[2] < 2e-7, "{worst:?}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(tanh(0.0), 0.0);
        assert!(exp(-1000.0) < 2e-38 && exp(1000.0).is_finite());
    }
}
