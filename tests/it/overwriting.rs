//! A store that lets objects be written over, as Garage does and Ceph's radosgw 16 where a bucket keeps versions: whichever
//! request of one machine another one takes its name or its marker at, nothing that is listed lacks an object.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use windlass::format::check::Level;
use windlass::ops::{self, init, prune, ship, verify};
use windlass::repository::Repository;
use windlass::sys::clock::FixedClock;
use windlass::sys::stop::Stop;

use crate::prune::last;
use crate::support::clocked::{Clocked, PAUSE};
use crate::support::node::{Node, START, tools, tree};
use crate::support::store::Op;
use crate::support::tree::noise;
use crate::support::whole::check;
use crate::support::world::Process;

/// Two machines over one such store.
struct Two {
    store: Arc<Clocked>,
    raw: Repository,
    machines: [Arc<Node>; 2],
}

impl Two {
    /// Machines of these names.
    fn named(names: [&str; 2]) -> Self {
        let clock = Arc::new(FixedClock::at(START.parse().unwrap()));
        let store = Clocked::new(clock.clone());
        store.overwrites.store(true, Ordering::Relaxed);
        let raw = Repository::over(store.clone(), "", "memory".into(), tools(clock.clone(), Stop::new()));
        let machines = names.map(|name| {
            let mut node = Node::in_memory(raw.clone(), clock.clone(), Stop::new());
            node.name = name.into();
            node.write("a", noise(1, 50_000));
            Arc::new(node)
        });
        Self { store, raw, machines }
    }

    fn start(
        &self,
        which: usize,
        what: &'static str,
        work: impl FnOnce(&ops::Context) -> Result<(), ops::Error> + Send + 'static,
    ) -> Process {
        Process::start(what, &self.store, &self.machines[which], move |ctx, _| work(ctx))
    }

    fn init(&self, which: usize) -> Process {
        self.start(which, "init", |ctx| init::run(ctx, &init::Options::default()).map(drop))
    }

    /// Each ships. The one whose marker was replaced is told so, and goes on once `init` has run again.
    fn both_go_on(&self) {
        for machine in &self.machines {
            if let Err(error) = ship::run(&machine.context(), &tree(), &ship::Options::default()) {
                assert!(error.to_string().contains("run `windlass init`"), "{error}");
                machine.init();
            }
            machine.backup();
        }
    }

    /// What is listed is whole, and a full verification by each machine that may ship finds no damage.
    fn is_sound(&self, after: &str) {
        check(&self.raw, after);
        for machine in &self.machines {
            let options = verify::Options { level: Level::Full, snapshots: Vec::new(), node: None };
            let outcome = verify::run(&machine.context(), &options).unwrap();
            assert!(outcome.damage.is_empty() && outcome.unexpected.is_empty(), "{after}: {outcome:#?}");
        }
    }
}

/// Lets a shipment make so many steps, until the last look that it takes before it makes a snapshot of what it has stored; gives whether it
/// has come to that.
fn steps_before_the_last_look(ship: &Process, steps: usize) -> bool {
    let mut has_a_body = false;
    for _ in 0..=steps {
        match ship.gate.next().expect("it takes a last look") {
            (Op::Get, key) if has_a_body && key == "windlass.json" => return true,
            (op, key) => has_a_body |= op == Op::Put && key.ends_with(".body.jsonl"),
        }
        ship.gate.step();
    }
    false
}

#[test]
fn a_machine_that_loses_its_name_while_it_ships_makes_no_snapshot_that_lacks_its_body() {
    for stop_at in 0.. {
        let two = Two::named(["node-1", "node-1"]);
        // The second one has found nobody of that name, and is slow to say that it is it.
        let late = two.init(1);
        late.until(Op::Put, "/node.1.json");
        two.machines[0].init();
        two.machines[0].snapshot();
        let ship = two.start(0, "ship", |ctx| ship::run(ctx, &tree(), &ship::Options::default())?.complete().map(drop));
        let ended = steps_before_the_last_look(&ship, stop_at);
        if ended {
            assert!(stop_at > 10, "every request was met, {stop_at}");
            return;
        }
        late.end().unwrap();
        // Its heads are newer than what the other one has not finished.
        for _ in 0..2 {
            two.machines[1].backup();
            two.store.clock.advance(std::time::Duration::from_secs(2));
            let prune = two.start(1, "prune", |ctx| prune::run(ctx, &last(9), &prune::plan(ctx, &last(9))?).map(drop));
            prune.end().unwrap();
            two.store.clock.advance(PAUSE.unsigned_abs());
        }
        let outcome = ship.end();
        check(&two.raw, &format!("the name was lost at request {stop_at}"));
        // Some are told of the other machine, and some that it has removed what they had stored.
        outcome.expect_err("the name is the other machine's");
        two.is_sound("the end");
    }
}

#[test]
fn a_marker_that_replaces_another_while_that_ones_machine_ships_makes_no_snapshot_of_a_repository_that_is_gone() {
    for stop_at in 0.. {
        let two = Two::named(["node-1", "node-2"]);
        let late = two.init(1);
        late.until(Op::Put, "windlass.json");
        two.machines[0].init();
        two.machines[0].snapshot();
        let ship = two.start(0, "ship", |ctx| ship::run(ctx, &tree(), &ship::Options::default())?.complete().map(drop));
        let ended = steps_before_the_last_look(&ship, stop_at);
        if ended {
            assert!(stop_at > 10, "every request was met, {stop_at}");
            return;
        }
        late.end().unwrap();
        let error = ship.end().expect_err("the repository is another one");
        assert!(error.to_string().contains("windlass.json"), "{error}");
        two.is_sound(&format!("the marker was replaced at request {stop_at}"));
        two.both_go_on();
        assert_eq!(check(&two.raw, "each has shipped").len(), 3);
        two.is_sound("the end");
    }
}

#[test]
fn two_machines_that_set_up_one_place_at_once_agree_on_what_it_is() {
    for stop_at in 0.. {
        let two = Two::named(["node-1", "node-2"]);
        let [one, other] = [two.init(0), two.init(1)];
        other.until(Op::Put, "windlass.json");
        let steps = (0..stop_at).take_while(|_| one.gate.step().is_some()).count();
        let ended = one.gate.next().is_none();
        other.end().unwrap();
        one.end().unwrap();
        two.both_go_on();
        assert_eq!(check(&two.raw, "each has shipped").len(), 2, "{steps}");
        two.is_sound(&format!("after {steps} requests"));
        if ended {
            assert!(stop_at > 5, "every request was met, {stop_at}");
            return;
        }
    }
}
