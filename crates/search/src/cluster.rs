//! Groups of copies.

/// Groups of `0..n` that are connected by `edges`, each ascending, ordered by their first member. Members of no edge make no
/// group.
#[must_use]
pub fn clusters(n: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..n).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for (a, b) in edges {
        if a < n && b < n {
            let (a, b) = (root(&mut parent, a), root(&mut parent, b));
            // The smaller number is the root, so that groups are found in order below.
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); n];
    for i in 0..n {
        let root = root(&mut parent, i);
        groups[root].push(i);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected() {
        assert_eq!(clusters(7, [(5, 2), (0, 4), (4, 6), (9, 0)]), [vec![0, 4, 6], vec![2, 5]]);
        assert!(clusters(3, []).is_empty());
        assert!(clusters(0, [(0, 0)]).is_empty());
    }
}
