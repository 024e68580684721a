//! File systems that are mounted: whether what lies below a folder can be seen at present.

use std::path::PathBuf;

/// Returns the folders at which file systems are mounted, but the root; none where the system does not say.
#[must_use]
pub fn mount_points() -> Vec<PathBuf> {
    let table = if cfg!(target_os = "linux") { std::fs::read("/proc/self/mountinfo").ok() } else { None };
    parse(&table.unwrap_or_default())
}

/// The fifth field of each line, in which some characters are octal numbers.
fn parse(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape);
    points.filter_map(|point| String::from_utf8(point).ok()).filter(|point| point != "/").map(PathBuf::from).collect()
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| byte == b'\\');
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 8).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_mounts() {
        let table = b"22 27 0:20 / /proc rw - proc proc rw\n27 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            40 27 8:17 / /media/My\\040Drive rw - ext4 /dev/sdb1 rw\n41 27 8:1 /x /odd\\zz rw - ext4 x rw\n\n";
        assert_eq!(parse(table), ["/proc", "/media/My Drive", "/odd\\zz"].map(PathBuf::from));
        assert!(mount_points().iter().all(|point| point.is_absolute()));
    }
}
