//! The frontier of the search: the choices that have not been explored.

use std::rc::Rc;

use fastrand::Rng;

use crate::{scenario::Pause, world::ActorId};

/// A decision of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The actor executes its next step, and the independent steps after it.
    Step(ActorId),
    /// Every process is killed.
    KillAll,
    /// The last active actor is paused.
    Pause(ActorId, Pause),
}

/// The decisions that lead to a state.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) before: Option<Rc<Path>>,
    pub(super) choice: Choice,
}

/// Unexplored choices after a state.
#[derive(Debug)]
struct Frame {
    path: Option<Rc<Path>>,
    choices: Vec<Choice>,
}

impl Drop for Path {
    /// Long paths are dropped without recursion.
    fn drop(&mut self) {
        let mut before = self.before.take();
        while let Some(path) = before {
            before = Rc::into_inner(path).and_then(|mut path| path.before.take());
        }
    }
}

/// The choices of a path, in order.
pub(super) fn choices(mut path: Option<&Path>) -> Vec<Choice> {
    let mut choices = Vec::new();
    while let Some(last) = path {
        choices.push(last.choice);
        path = last.before.as_deref();
    }
    choices.reverse();
    choices
}

fn is_same(one: Option<&Rc<Path>>, other: Option<&Rc<Path>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Rc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Unexplored choices, by the number of context switches up to them.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    levels: Vec<Vec<Frame>>,
}

impl Frontier {
    /// Whether every choice has been explored.
    pub(super) fn is_empty(&self) -> bool {
        self.levels.iter().all(Vec::is_empty)
    }

    /// Removes a random unexplored choice with at most `switches_max` context switches, and returns the path with it. Levels with fewer switches
    /// are preferred.
    pub(super) fn take(&mut self, switches_max: usize, rng: &mut Rng) -> Option<Rc<Path>> {
        let open = self.levels.iter().take(switches_max.saturating_add(1)).enumerate();
        let levels: Vec<usize> = open.filter(|(_, frames)| !frames.is_empty()).map(|(level, _)| level).collect();
        let mut levels = levels.into_iter();
        let mut chosen = levels.next()?;
        for level in levels {
            if rng.bool() {
                break;
            }
            chosen = level;
        }
        let frames = self.levels.get_mut(chosen)?;
        let index = rng.usize(0..frames.len());
        let frame = frames.get_mut(index)?;
        let choice = frame.choices.swap_remove(rng.usize(0..frame.choices.len()));
        let before = frame.path.clone();
        if frame.choices.is_empty() {
            frames.swap_remove(index);
        }
        Some(Rc::new(Path { before, choice }))
    }

    /// Adds unexplored choices after a state, each with its number of context switches.
    pub(super) fn add(&mut self, path: Option<&Rc<Path>>, choices: &[(Choice, usize)]) {
        for (choice, switches) in choices {
            if self.levels.len() <= *switches {
                self.levels.resize_with(switches + 1, Vec::new);
            }
            let Some(frames) = self.levels.get_mut(*switches) else { continue };
            match frames.last_mut() {
                Some(frame) if is_same(frame.path.as_ref(), path) => frame.choices.push(*choice),
                _ => frames.push(Frame {
                    path: path.cloned(),
                    choices: vec![*choice],
                }),
            }
        }
    }
}
