//! Places for connections: how many there are in all and of an address, which connection gives way when they are taken, and
//! the spare ones that only tell of the server's health.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use vidsieve_api::admission::rate_address;

use crate::pace::Pace;

/// Spare places.
const SPARE: usize = 64;
/// A connection that has kept the server waiting for so long gives way to a new one.
const GIVES_WAY: Duration = Duration::from_secs(1);
/// Longest wait before it is looked again whether a connection gives way.
const LOOK: Duration = Duration::from_millis(100);

/// Places for connections.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    of_address: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    full: HashMap<u64, (Option<IpAddr>, Arc<Pace>)>,
    /// Those of each address.
    counts: HashMap<IpAddr, usize>,
    spare: usize,
}

impl Taken {
    fn remove(&mut self, number: u64) -> Option<Arc<Pace>> {
        let (address, pace) = self.full.remove(&number)?;
        if let Some(address) = address
            && let Some(count) = self.counts.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
        Some(pace)
    }

    /// The connection, of an address or of any, that has kept the server waiting the longest.
    fn slowest(&self, address: Option<IpAddr>) -> Option<u64> {
        let of = self.full.iter().filter(|(_, (of, _))| address.is_none() || *of == address);
        let waiting = of.map(|(number, (_, pace))| (pace.waiting(), *number));
        waiting.filter(|(waiting, _)| *waiting >= GIVES_WAY).max().map(|(_, number)| number)
    }
}

/// A place that a connection has until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    /// Of a full place.
    number: Option<u64>,
    pub(crate) pace: Arc<Pace>,
}

impl Place {
    /// Whether the server has no place for the connection but to tell of its health.
    pub(crate) const fn is_spare(&self) -> bool {
        self.number.is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match self.number {
            Some(number) => drop(taken.remove(number)),
            None => taken.spare -= 1,
        }
        drop(taken);
        self.places.freed.notify_one();
    }
}

impl Places {
    pub(crate) fn new(most: usize, of_address: usize) -> Arc<Self> {
        let (most, of_address) = (most.max(1), of_address.max(1));
        Arc::new(Self { most, of_address, taken: Mutex::default(), freed: Notify::new() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Full and spare places that are taken.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let taken = self.taken();
        (taken.full.len(), taken.spare)
    }

    /// A place for a connection of an address; `None` for a proxy, whose clients are not told apart here.
    fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let mut taken = self.taken();
        let crowded = address.filter(|of| taken.counts.get(of).is_some_and(|count| *count >= self.of_address));
        if crowded.is_some() || taken.full.len() >= self.most {
            match taken.slowest(crowded) {
                Some(number) => {
                    if let Some(pace) = taken.remove(number) {
                        pace.end();
                    }
                }
                None if taken.spare < SPARE => {
                    taken.spare += 1;
                    return Some(Place { places: self.clone(), number: None, pace: Pace::new() });
                }
                None => return None,
            }
        }
        let (number, pace) = (taken.next, Pace::new());
        taken.next += 1;
        if let Some(address) = address {
            *taken.counts.entry(address).or_default() += 1;
        }
        taken.full.insert(number, (address, pace.clone()));
        Some(Place { places: self.clone(), number: Some(number), pace })
    }

    /// A place for a connection, as soon as there is one.
    pub(crate) async fn wait(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Place {
        let address = (!is_proxy).then(|| rate_address(Some(peer)));
        loop {
            if let Some(place) = self.take(address) {
                return place;
            }
            let _ = tokio::time::timeout(LOOK, self.freed.notified()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::pace::Serving;

    const A: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const B: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn an_address_has_its_share() {
        let places = Places::new(4, 2);
        let (first, _second) = (places.take(A).unwrap(), places.take(A).unwrap());
        assert!(places.take(A).unwrap().is_spare());
        let others = [places.take(B).unwrap(), places.take(None).unwrap()];
        assert!(others.iter().all(|place| !place.is_spare()));
        assert!(places.take(None).unwrap().is_spare(), "all are taken");
        assert_eq!(places.counts(), (4, 0), "spare ones were given back");
        drop(first);
        assert!(!places.take(A).unwrap().is_spare());
    }

    #[test]
    fn who_keeps_the_server_waiting_gives_way() {
        let places = Places::new(2, 2);
        let served = places.take(A).unwrap();
        let serving = Serving::of(&served.pace);
        let idle = places.take(A).unwrap();
        std::thread::sleep(GIVES_WAY + Duration::from_millis(50));
        assert!(!places.take(B).unwrap().is_spare(), "the idle one gives way");
        assert!(idle.pace.waiting() >= GIVES_WAY && served.pace.waiting() == Duration::ZERO);
        let _kept = places.take(B).unwrap();
        // One that is served never does.
        let more = places.take(B).unwrap();
        assert!(more.is_spare());
        drop(serving);
        assert!(served.pace.waiting() < GIVES_WAY, "it waits from the end of the answer on");
        // Given back twice counts once.
        drop(idle);
        assert_eq!(places.counts(), (2, 1));
    }

    #[test]
    fn spare_places_end() {
        let places = Places::new(1, 1);
        let _full = places.take(A).unwrap();
        let spare: Vec<_> = (0..SPARE).map(|_| places.take(B).unwrap()).collect();
        assert!(places.take(B).is_none());
        drop(spare);
        assert!(places.take(B).unwrap().is_spare());
    }
}
