//! The random simulation: executions with faults, in which the seed determines every choice and can be replayed.
//!
//! Each family of faults is enabled in about half of the seeds (swarm testing), so that faults that mask each other also occur separately.

mod family;

use std::collections::BTreeMap;

use datalake_core::run::RunMode;
use datalake_store::{
    faults::OperationKind,
    memory::{EtagInput, Expiry},
    simulation::Bug,
};
use fastrand::Rng;
use jiff::SignedDuration;

pub use self::family::FaultFamily;
use crate::{
    fault::{Fault, StaleListing},
    gate::Operation,
    invariant::Violation,
    oracle::ToleratedFaults,
    quiescence,
    scenario::{put, remove, salted},
    sources::{broken_csv, broken_png, csv, png},
    store_kind::StoreKind,
    world::{ActorId, Edit, Event, NextStep, Role, SimRuntime, World},
};

/// The result of one seed.
#[derive(Debug)]
pub struct SeedResult {
    /// A digest of the steps.
    pub trace_hash: u64,
    /// The number of steps.
    pub steps: u64,
    /// The enabled families, and how often each injected a fault.
    pub injected: BTreeMap<FaultFamily, u64>,
    /// The violated invariant.
    pub violation: Option<Violation>,
    /// The steps.
    pub events: Vec<Event>,
}

/// Executes a seed.
pub fn simulate(runtime: &SimRuntime, seed: u64, bug: Option<Bug>) -> SeedResult {
    let mut rng = Rng::with_seed(seed);
    let enabled: Vec<FaultFamily> = FaultFamily::ALL.into_iter().filter(|_| rng.bool()).collect();
    let is_enabled = |family| enabled.contains(&family);
    let kind = StoreKind {
        etags: if is_enabled(FaultFamily::ContentEtags) {
            EtagInput::Bytes
        } else {
            EtagInput::BytesAndMetadata
        },
        expiry: *rng
            .choice(&[Expiry::Timed, Expiry::Timed, Expiry::Swept, Expiry::Never])
            .unwrap_or(&Expiry::Timed),
    };
    let mut world = World::new(runtime, &kind.store(), kind, bug);
    world.oracle.tolerated = ToleratedFaults {
        stale_listings: is_enabled(FaultFamily::StaleListing),
        delayed_writes: is_enabled(FaultFamily::Duplicate),
        wrong_clocks: is_enabled(FaultFamily::ProcessClock) || is_enabled(FaultFamily::StoreClock),
    };
    let mut injected: BTreeMap<FaultFamily, u64> = enabled.iter().map(|family| (*family, 0)).collect();
    if let Some(count) = injected.get_mut(&FaultFamily::ContentEtags) {
        *count += 1;
    }
    let mut simulator = Simulator {
        per_mille: *rng.choice(&[3, 10, 40]).unwrap_or(&10),
        rng,
        injected,
        outage_left: 0,
        disk_full_left: 0,
        content: 0,
        number: 0,
        paused: Vec::new(),
    };
    let violation = simulator.execute(&mut world).err();
    SeedResult {
        trace_hash: world.trace_hash(),
        steps: world.steps(),
        injected: simulator.injected,
        violation,
        events: world.events().to_vec(),
    }
}

/// Chooses edits, actors, steps and faults by the seed.
struct Simulator {
    rng: Rng,
    /// How often each enabled family injects a fault, per thousand operations.
    per_mille: u32,
    injected: BTreeMap<FaultFamily, u64>,
    /// The operations for which the store remains unavailable.
    outage_left: u32,
    /// The writes for which the store remains full.
    disk_full_left: u32,
    /// The number of contents of sources so far.
    content: u32,
    /// The number of actors so far.
    number: u32,
    /// The paused actors, and the remaining rounds of their pauses.
    paused: Vec<(ActorId, u32)>,
}

impl Simulator {
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
        // The end of all faults.
        while world.delayed_writes() > 0 {
            world.deliver_delayed_write(0)?;
        }
        for (actor, _) in std::mem::take(&mut self.paused) {
            match self.rng.bool() {
                true => world.kill(actor),
                false => world.finish(actor)?,
            }
        }
        if world.oracle.tolerated.wrong_clocks {
            world.align_clocks();
        }
        quiescence::check(world)
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
        for (actor, rounds) in std::mem::take(&mut self.paused) {
            match rounds.checked_sub(1) {
                Some(rounds) => self.paused.push((actor, rounds)),
                None => active.push(actor),
            }
        }
        // One actor at a time is faster than the others.
        let mut fastest = active.first().copied().unwrap_or_default();
        while !active.is_empty() {
            if self.rng.u32(0..12) == 0 || !active.contains(&fastest) {
                fastest = *self.rng.choice(&active).unwrap_or(&fastest);
            }
            let actor = match self.rng.u32(0..3) {
                0 => *self.rng.choice(&active).unwrap_or(&fastest),
                _ => fastest,
            };
            self.inject_process_fault(world, actor)?;
            if !world.has_ended(actor) && !self.is_paused(actor) {
                let fault = match world.next_step(actor) {
                    NextStep::Operation(operation) => self.store_fault(world.is_owner(actor), &operation),
                    NextStep::Timer | NextStep::Ended => Fault::None,
                };
                world.step_with_fault(actor, fault)?;
            }
            active.retain(|actor| !world.has_ended(*actor) && !self.is_paused(*actor));
        }
        Ok(())
    }

    fn is_paused(&self, actor: ActorId) -> bool {
        self.paused.iter().any(|(paused, _)| *paused == actor)
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
        if self.injects_at(FaultFamily::ProcessClock, 300) {
            let skew = self.clock_jump();
            world.set_clock_skew(actor, skew);
        }
        Ok(actor)
    }

    /// From seconds to months, forwards or backwards.
    fn clock_jump(&mut self) -> SignedDuration {
        let seconds = *self
            .rng
            .choice(&[2, 400, 3_700, 90_000, 700_000, 3_000_000, 33_000_000])
            .unwrap_or(&2);
        SignedDuration::from_secs(if self.rng.bool() { seconds } else { -seconds })
    }

    fn injects(&mut self, family: FaultFamily) -> bool {
        self.injects_at(family, self.per_mille)
    }

    fn injects_at(&mut self, family: FaultFamily, per_mille: u32) -> bool {
        let is_injected = self.rng.u32(0..1_000) < per_mille;
        match self.injected.get_mut(&family) {
            Some(count) if is_injected => {
                *count += 1;
                true
            }
            _ => false,
        }
    }

    /// Faults other than those of operations.
    fn inject_process_fault(&mut self, world: &mut World, actor: ActorId) -> Result<(), Violation> {
        if world.delayed_writes() > 0 && self.rng.u32(0..8) == 0 {
            let index = self.rng.usize(0..world.delayed_writes());
            world.deliver_delayed_write(index)?;
        }
        let is_run = !world.is_owner(actor);
        if is_run && self.injects_at(FaultFamily::Death, self.per_mille.div_ceil(3)) {
            world.kill(actor);
            return Ok(());
        }
        if is_run && self.injects_at(FaultFamily::Pause, self.per_mille.div_ceil(3)) {
            world.pause(actor, "");
            self.paused.push((actor, self.rng.u32(0..3)));
        }
        if self.injects_at(FaultFamily::StoreClock, self.per_mille.div_ceil(8)) {
            let jump = self.clock_jump();
            world.shift_store_clock(jump);
        }
        Ok(())
    }

    fn store_fault(&mut self, is_owner: bool, operation: &Operation) -> Fault {
        if is_owner || operation.is_completion {
            return Fault::None;
        }
        if self.outage_left > 0 {
            self.outage_left -= 1;
            return Fault::FailBefore;
        }
        let is_write = operation.is_write();
        if self.disk_full_left > 0 && is_write && operation.kind != OperationKind::Delete {
            self.disk_full_left -= 1;
            return Fault::DiskFull;
        }
        if self.injects_at(FaultFamily::Outage, self.per_mille.div_ceil(10)) {
            self.outage_left = self.rng.u32(3..40);
        }
        if is_write && self.injects_at(FaultFamily::DiskFull, self.per_mille.div_ceil(4)) {
            self.disk_full_left = self.rng.u32(1..12);
        }
        if self.injects(FaultFamily::FailBefore) {
            return Fault::FailBefore;
        }
        if self.injects(FaultFamily::FailAfter) {
            return Fault::FailAfter;
        }
        if self.injects(FaultFamily::Delay) {
            return Fault::Delay;
        }
        if is_write && operation.is_conditional {
            if self.injects(FaultFamily::Conflict) {
                return Fault::Conflict;
            }
            if self.injects(FaultFamily::Precondition) {
                return Fault::ConflictAfter;
            }
        }
        if is_write && self.injects(FaultFamily::Duplicate) {
            return if self.rng.bool() { Fault::Duplicate } else { Fault::ArriveLate };
        }
        match operation.kind {
            OperationKind::Get if self.injects(FaultFamily::ShortBody) => Fault::ShortBody,
            OperationKind::List if self.injects_at(FaultFamily::StaleListing, self.per_mille * 4) => Fault::StaleListing(StaleListing {
                missing: self.rng.usize(1..4),
            }),
            _ => Fault::None,
        }
    }

    fn edit(&mut self) -> Edit {
        let user = *self.rng.choice(&["1", "2", "3", "4", "1-a"]).unwrap_or(&"1");
        // A few contents return, most do not.
        let content = if self.injects_at(FaultFamily::Aba, 600) {
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
