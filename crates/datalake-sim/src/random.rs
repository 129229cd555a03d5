//! Random executions with faults: a seed decides everything, so that it can be run again.
//!
//! Each family of faults is on in about half of the seeds (swarm testing): faults that hide each other meet apart as well.

use std::collections::BTreeMap;

use datalake_core::report::RunMode;
use datalake_store::{
    faults::OperationKind,
    memory::{EtagInput, Expiry},
    simulation::Bug,
};
use fastrand::Rng;
use jiff::SignedDuration;

use crate::{
    fate::{Fate, Stale},
    gate::Operation,
    oracle::{Leniency, Violation},
    quiet,
    scenario::{StoreKind, put, remove, salted},
    sources::{broken_csv, broken_png, csv, png},
    world::{ActorId, Edit, Event, Machine, Next, Role, World},
};

/// A family of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// A request fails without effect.
    FailBefore,
    /// A request takes effect, and its answer is lost.
    FailAfter,
    /// Two conditional requests at once: neither is carried out (409).
    Conflict,
    /// The client's own retry fails on its own effect (412).
    Precondition,
    /// Every request fails for a while (503).
    Outage,
    /// Bodies end early.
    ShortBody,
    /// Answers arrive late.
    Delay,
    /// A request arrives a second time, or after its client gave up.
    Duplicate,
    /// Listings lack what was added last.
    StaleListing,
    /// Sources return to bytes that they had before.
    Aba,
    /// ETags are made of the bytes alone.
    ContentEtags,
    /// Clocks of processes are wrong, in both directions.
    ProcessClock,
    /// The store's clock leaps, in both directions.
    StoreClock,
    /// The store is full for a while: reads succeed.
    DiskFull,
    /// Processes die.
    Death,
    /// Processes sleep for minutes, days or weeks.
    Sleep,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 16] = [
        Self::FailBefore,
        Self::FailAfter,
        Self::Conflict,
        Self::Precondition,
        Self::Outage,
        Self::ShortBody,
        Self::Delay,
        Self::Duplicate,
        Self::StaleListing,
        Self::Aba,
        Self::ContentEtags,
        Self::ProcessClock,
        Self::StoreClock,
        Self::DiskFull,
        Self::Death,
        Self::Sleep,
    ];
}

/// What one seed did.
#[derive(Debug)]
pub struct Outcome {
    /// A digest of every step.
    pub trace_hash: u64,
    /// Steps taken.
    pub steps: u64,
    /// Families that were on, and how often each struck.
    pub activations: BTreeMap<Family, u64>,
    /// What does not hold.
    pub violation: Option<Violation>,
    /// What happened.
    pub events: Vec<Event>,
}

/// Runs a seed.
pub fn simulate(machine: &Machine, seed: u64, bug: Option<Bug>) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let on: Vec<Family> = Family::ALL.into_iter().filter(|_| rng.bool()).collect();
    let is_on = |family| on.contains(&family);
    let kind = StoreKind {
        tags: if is_on(Family::ContentEtags) {
            EtagInput::Bytes
        } else {
            EtagInput::BytesAndMetadata
        },
        expiry: *rng
            .choice(&[Expiry::Timed, Expiry::Timed, Expiry::Swept, Expiry::Never])
            .unwrap_or(&Expiry::Timed),
    };
    let mut world = World::new(machine, &kind.store(), kind, bug);
    world.oracle.leniency = Leniency {
        stale_listings: is_on(Family::StaleListing),
        late_writes: is_on(Family::Duplicate),
        wrong_clocks: is_on(Family::ProcessClock) || is_on(Family::StoreClock),
    };
    let mut activations: BTreeMap<Family, u64> = on.iter().map(|family| (*family, 0)).collect();
    if let Some(count) = activations.get_mut(&Family::ContentEtags) {
        *count += 1;
    }
    let mut chaos = Chaos {
        per_mille: *rng.choice(&[3, 10, 40]).unwrap_or(&10),
        rng,
        activations,
        outage: 0,
        full: 0,
        content: 0,
        number: 0,
        sleepers: Vec::new(),
    };
    let violation = chaos.execute(&mut world).err();
    Outcome {
        trace_hash: world.trace_hash(),
        steps: world.steps(),
        activations: chaos.activations,
        violation,
        events: world.events().to_vec(),
    }
}

struct Chaos {
    rng: Rng,
    /// How often each family strikes that is on, in a thousand operations.
    per_mille: u32,
    activations: BTreeMap<Family, u64>,
    /// Operations for which the store is down.
    outage: u32,
    /// Writes for which the store is full.
    full: u32,
    /// Counts contents of sources.
    content: u32,
    /// Counts actors.
    number: u32,
    /// Actors that sleep, and for how many rounds more.
    sleepers: Vec<(ActorId, u32)>,
}

impl Chaos {
    fn execute(&mut self, world: &mut World) -> Result<(), Violation> {
        for _ in 0..self.rng.u32(3..8) {
            let edit = self.edit();
            world.edit(&edit)?;
        }
        for _ in 0..self.rng.u32(2..6) {
            self.round(world)?;
            let pause = *self
                .rng
                .choice(&[1, 1, 30, 70, 70, 25 * 60, 50 * 60, 8 * 24 * 60, 32 * 24 * 60])
                .unwrap_or(&1);
            world.advance(SignedDuration::from_mins(pause));
        }
        // The faults are over.
        while world.late_writes() > 0 {
            world.arrive(0)?;
        }
        for (actor, _) in std::mem::take(&mut self.sleepers) {
            match self.rng.bool() {
                true => world.kill(actor),
                false => world.finish(actor)?,
            }
        }
        if world.oracle.leniency.wrong_clocks {
            world.catch_up();
        }
        quiet::settle(world)
    }

    fn round(&mut self, world: &mut World) -> Result<(), Violation> {
        let mut active = Vec::new();
        for _ in 0..self.rng.u32(0..3) {
            let edit = self.edit();
            world.edit(&edit)?;
        }
        let first_number = self.number;
        for _ in 0..self.rng.u32(1..5) {
            let shares_id = self.rng.u32(0..20) == 0;
            let run_number = if shares_id { first_number } else { self.number };
            let role = Role::Run {
                run_id: format!("run-{run_number}"),
                mode: if self.rng.u32(0..8) == 0 {
                    RunMode::Full
                } else {
                    RunMode::Incremental
                },
            };
            active.push(self.spawn(world, &role)?);
        }
        if self.rng.bool() {
            let polls = self.rng.u32(1..6);
            active.push(self.spawn(world, &Role::Reader { polls })?);
        }
        if self.rng.bool() {
            let edits = (0..self.rng.u32(1..5)).map(|_| self.edit()).collect();
            active.push(self.spawn(world, &Role::Owner { edits })?);
        }
        for (actor, rounds) in std::mem::take(&mut self.sleepers) {
            match rounds.checked_sub(1) {
                Some(rounds) => self.sleepers.push((actor, rounds)),
                None => active.push(actor),
            }
        }
        // Some actors are faster than others.
        let mut favourite = active.first().copied().unwrap_or_default();
        while !active.is_empty() {
            if self.rng.u32(0..12) == 0 || !active.contains(&favourite) {
                favourite = *self.rng.choice(&active).unwrap_or(&favourite);
            }
            let actor = match self.rng.u32(0..3) {
                0 => *self.rng.choice(&active).unwrap_or(&favourite),
                _ => favourite,
            };
            self.disturb(world, actor)?;
            if !world.has_ended(actor) && !self.is_asleep(actor) {
                let fate = match world.next(actor) {
                    Next::Operation(operation) => self.fate(world.is_owner(actor), &operation),
                    Next::Timer | Next::Ended => Fate::Pass,
                };
                world.step_as(actor, fate)?;
            }
            active.retain(|actor| !world.has_ended(*actor) && !self.is_asleep(*actor));
        }
        Ok(())
    }

    fn is_asleep(&self, actor: ActorId) -> bool {
        self.sleepers.iter().any(|(sleeper, _)| *sleeper == actor)
    }

    fn spawn(&mut self, world: &mut World, role: &Role) -> Result<ActorId, Violation> {
        let letter = match role {
            Role::Run { .. } => 'A',
            Role::Reader { .. } => 'R',
            Role::Owner { .. } => 'O',
        };
        let name = format!("{letter}{}", self.number);
        let actor = world.spawn(&name, 10_000 + self.number, role)?;
        self.number += 1;
        if self.strikes_at(Family::ProcessClock, 300) {
            let skew = self.leap();
            world.skew(actor, skew);
        }
        Ok(actor)
    }

    /// From seconds to months, in both directions.
    fn leap(&mut self) -> SignedDuration {
        let seconds = *self
            .rng
            .choice(&[2, 400, 3_700, 90_000, 700_000, 3_000_000, 33_000_000])
            .unwrap_or(&2);
        SignedDuration::from_secs(if self.rng.bool() { seconds } else { -seconds })
    }

    fn strikes(&mut self, family: Family) -> bool {
        self.strikes_at(family, self.per_mille)
    }

    fn strikes_at(&mut self, family: Family, per_mille: u32) -> bool {
        let strikes = self.rng.u32(0..1_000) < per_mille;
        match self.activations.get_mut(&family) {
            Some(count) if strikes => {
                *count += 1;
                true
            }
            _ => false,
        }
    }

    /// What happens beside the operations.
    fn disturb(&mut self, world: &mut World, actor: ActorId) -> Result<(), Violation> {
        if world.late_writes() > 0 && self.rng.u32(0..8) == 0 {
            let index = self.rng.usize(0..world.late_writes());
            world.arrive(index)?;
        }
        let is_run = !world.is_owner(actor);
        if is_run && self.strikes_at(Family::Death, self.per_mille.div_ceil(3)) {
            world.kill(actor);
            return Ok(());
        }
        if is_run && self.strikes_at(Family::Sleep, self.per_mille.div_ceil(3)) {
            world.pause(actor, "");
            self.sleepers.push((actor, self.rng.u32(0..3)));
        }
        if self.strikes_at(Family::StoreClock, self.per_mille.div_ceil(8)) {
            let leap = self.leap();
            world.shift_store_clock(leap);
        }
        Ok(())
    }

    fn fate(&mut self, is_owner: bool, operation: &Operation) -> Fate {
        if is_owner || operation.is_completion {
            return Fate::Pass;
        }
        if self.outage > 0 {
            self.outage -= 1;
            return Fate::FailBefore;
        }
        let is_write = operation.is_write();
        if self.full > 0 && is_write && operation.kind != OperationKind::Delete {
            self.full -= 1;
            return Fate::Full;
        }
        if self.strikes_at(Family::Outage, self.per_mille.div_ceil(10)) {
            self.outage = self.rng.u32(3..40);
        }
        if is_write && self.strikes_at(Family::DiskFull, self.per_mille.div_ceil(4)) {
            self.full = self.rng.u32(1..12);
        }
        if self.strikes(Family::FailBefore) {
            return Fate::FailBefore;
        }
        if self.strikes(Family::FailAfter) {
            return Fate::FailAfter;
        }
        if self.strikes(Family::Delay) {
            return Fate::Delay;
        }
        if is_write && operation.is_conditional {
            if self.strikes(Family::Conflict) {
                return Fate::Conflict;
            }
            if self.strikes(Family::Precondition) {
                return Fate::ConflictAfter;
            }
        }
        if is_write && self.strikes(Family::Duplicate) {
            return if self.rng.bool() { Fate::Twice } else { Fate::Late };
        }
        match operation.kind {
            OperationKind::Get if self.strikes(Family::ShortBody) => Fate::Short,
            OperationKind::List if self.strikes_at(Family::StaleListing, self.per_mille * 4) => Fate::Stale(Stale {
                lacks: self.rng.usize(1..4),
            }),
            _ => Fate::Pass,
        }
    }

    fn edit(&mut self) -> Edit {
        let user = *self.rng.choice(&["1", "2", "3", "4", "1-a"]).unwrap_or(&"1");
        // Few contents come back, many do not.
        let content = if self.strikes_at(Family::Aba, 600) {
            self.rng.u32(0..2)
        } else {
            self.content += 1;
            self.content + 2
        };
        let csv_name = format!("{user}.{}", if self.rng.u32(0..12) == 0 { "CSV" } else { "csv" });
        let png_name = format!("{user}.{}", if self.rng.u32(0..12) == 0 { "PNG" } else { "png" });
        match self.rng.u32(0..20) {
            0..6 => put(&csv_name, csv(&format!("Name {content}"))),
            6..12 => put(&png_name, png(&content.to_string())),
            12 => salted(&csv_name, csv(&format!("Name {content}")), content),
            13 => salted(&png_name, png(&content.to_string()), content),
            14 => put(&csv_name, broken_csv(&content.to_string())),
            15 => put(&png_name, broken_png(&content.to_string())),
            16 => remove(&csv_name),
            17 | 18 => remove(&png_name),
            _ => put("notes.txt", csv(&content.to_string())),
        }
    }
}
