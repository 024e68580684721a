//! A stroke font: each character is a few polylines on a grid of five columns (0 to 4) and nine rows, with the top of
//! the capitals at row 0, small letters from row 2, the base line at row 6 and descenders down to row 8.

/// Between one character's right and the next one's left.
pub(crate) const SPACING: f32 = 1.7;
/// Height of a capital letter.
pub(crate) const CAPITAL: f32 = 6.0;

/// The characters from space to tilde: polylines separated by spaces, each point two digits, column and row.
const GLYPHS: [&str; 95] = [
    "",                                    // space
    "2024 2626",                           // !
    "1012 3032",                           // "
    "1016 3036 0242 0444",                 // #
    "413010010213334445361605 2027",       // $
    "4006 1011 3536",                      // %
    "461120310405162644",                  // &
    "2022",                                // '
    "30121436",                            // (
    "10323416",                            // )
    "2125 0244 4204",                      // *
    "2125 0343",                           // +
    "2617",                                // ,
    "1333",                                // -
    "2626",                                // .
    "4006",                                // /
    "100105163645413010 1531",             // 0
    "112026 1636",                         // 1
    "01103041420646",                      // 2
    "0110304142334445361605 1333",         // 3
    "36300444",                            // 4
    "400002324345361605",                  // 5
    "3010010516364544331304",              // 6
    "004016",                              // 7
    "103041423313020110 1304051636454433", // 8
    "1636454130100102133342",              // 9
    "2222 2525",                           // :
    "2222 2517",                           // ;
    "410345",                              // <
    "0242 0444",                           // =
    "014305",                              // >
    "01103041422324 2626",                 // ?
    "3432121434 34444130100105163646",     // @
    "062046 1434",                         // A
    "0006 003041423303 3344453606",        // B
    "4130100105163645",                    // C
    "0006 002042442606",                   // D
    "40000646 0333",                       // E
    "400006 0333",                         // F
    "41301001051636454323",                // G
    "0006 4046 0343",                      // H
    "1030 2026 1636",                      // I
    "4045361605",                          // J
    "0006 400346",                         // K
    "000646",                              // L
    "0600234046",                          // M
    "06004640",                            // N
    "100105163645413010",                  // O
    "06003041423303",                      // P
    "100105163645413010 2447",             // Q
    "06003041423303 2346",                 // R
    "413010010213334445361605",            // S
    "0040 2026",                           // T
    "000516364540",                        // U
    "002640",                              // V
    "0016223640",                          // W
    "0046 4006",                           // X
    "002340 2326",                         // Y
    "00400646",                            // Z
    "30101636",                            // [
    "0046",                                // backslash
    "10303616",                            // ]
    "122032",                              // ^
    "0747",                                // _
    "1021",                                // `
    "12324346 441405163645",               // a
    "0006 0312324345361605",               // b
    "4332120305163645",                    // c
    "4046 4332120305163645",               // d
    "044443321203051636",                  // e
    "30201116 0232",                       // f
    "4247381807 4332120305163645",         // g
    "0006 0312324346",                     // h
    "2226 2020",                           // i
    "3237281807 3030",                     // j
    "0006 320446",                         // k
    "202536",                              // l
    "0206 03122326 23324346",              // m
    "0206 0312324346",                     // n
    "120305163645433212",                  // o
    "0208 0312324345361605",               // p
    "4248 4332120305163645",               // q
    "0206 03123243",                       // r
    "43321203143445361605",                // s
    "10152636 0232",                       // t
    "0205163645 4246",                     // u
    "022642",                              // v
    "0216233642",                          // w
    "0246 4206",                           // x
    "0226 4218",                           // y
    "02420646",                            // z
    "30202213242636",                      // {
    "2027",                                // |
    "10202233242616",                      // }
    "04133443",                            // ~
];

/// The leftmost column of a character and how many columns it is wide; a space is 2 wide.
pub(crate) fn extent(character: char) -> [f32; 2] {
    let columns = || strokes(character).flatten().map(|point| point[0]);
    let (low, high) = (columns().fold(f32::MAX, f32::min), columns().fold(f32::MIN, f32::max));
    if low > high { [0.0, 2.0] } else { [low, high - low] }
}

/// The line segments of a character; those of `?` for one that the font lacks.
pub(crate) fn strokes(character: char) -> impl Iterator<Item = [[f32; 2]; 2]> {
    let index = match character {
        ' '..='~' => character as usize - ' ' as usize,
        _ => '?' as usize - ' ' as usize,
    };
    let point = |pair: &[u8]| [f32::from(pair[0] - b'0'), f32::from(pair[1] - b'0')];
    GLYPHS[index].split(' ').flat_map(move |line| {
        line.as_bytes().windows(4).step_by(2).map(move |pairs| [point(&pairs[..2]), point(&pairs[2..])])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_are_well_formed() {
        for (index, glyph) in GLYPHS.iter().enumerate() {
            for line in glyph.split(' ').filter(|line| !line.is_empty()) {
                assert!(line.len() >= 4 && line.len() % 2 == 0, "glyph {index}: {line}");
                for (i, digit) in line.bytes().enumerate() {
                    assert!(digit.is_ascii_digit() && digit - b'0' <= if i % 2 == 0 { 4 } else { 8 }, "glyph {index}");
                }
            }
        }
        // Every pair of characters differs.
        for (i, glyph) in GLYPHS.iter().enumerate() {
            assert!(!GLYPHS[..i].contains(glyph), "glyph {i}");
        }
        assert_eq!(strokes('L').count(), 2);
        assert_eq!((extent('A'), extent('l'), extent(' ')), ([0.0, 4.0], [2.0, 1.0], [0.0, 2.0]));
        assert_eq!(strokes('é').count(), strokes('?').count());
    }
}
