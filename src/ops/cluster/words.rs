//! What is told of a node: the first few things, and how many there are besides.

/// Most things that are told of one node, or of one source: who has more damage than that looks with `verify`.
const TOLD_MAX: usize = 20;

/// Things that are wrong, in words.
#[derive(Debug, Default)]
pub(super) struct Words {
    told: Vec<String>,
    more: usize,
}

impl Words {
    /// Adds one.
    pub(super) fn push(&mut self, text: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push(text);
        } else {
            self.more += 1;
        }
    }

    /// All of them, and one that says how many were left out.
    pub(super) fn into_vec(self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("{} things more are wrong; `windlass verify --quick --node NODE` names all", self.more));
        self.told.into_iter().chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_are_told_and_the_rest_is_counted() {
        let words = |count: usize| {
            let mut words = Words::default();
            (0..count).for_each(|n| words.push(n.to_string()));
            words.into_vec()
        };
        assert_eq!(words(0), [] as [&str; 0]);
        assert_eq!((words(20).len(), words(20)[19].as_str()), (20, "19"));
        assert_eq!((words(22).len(), words(22)[20].starts_with("2 things more")), (21, true));
    }
}
