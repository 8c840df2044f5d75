//! One thing for each slot, in pages that exist only while one of their slots needs them.
//!
//! Place in the flow: the memtable and the committer keep here what they know of each series. Series
//! come and go in neighbourhoods, so that pages of ended ones can be given back.
//!
//! Not here: which slots there are (`series`).

/// Slots of one page.
pub const PAGE_SLOTS: u32 = 256;

/// One `T` for each slot.
#[derive(Debug)]
pub struct Paged<T> {
    pages: Vec<Option<Box<[T]>>>,
}

impl<T> Default for Paged<T> {
    fn default() -> Paged<T> {
        Paged { pages: Vec::new() }
    }
}

fn place_of(slot: u32) -> (usize, usize) {
    ((slot / PAGE_SLOTS) as usize, (slot % PAGE_SLOTS) as usize)
}

impl<T: Default> Paged<T> {
    /// What stands in a slot; `None` when its page does not exist.
    #[inline]
    pub fn get(&self, slot: u32) -> Option<&T> {
        let (page, place) = place_of(slot);
        self.pages.get(page)?.as_ref()?.get(place)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let (page, place) = place_of(slot);
        self.pages.get_mut(page)?.as_mut()?.get_mut(place)
    }

    /// The same; its page is made when it does not exist.
    #[inline]
    pub fn place(&mut self, slot: u32) -> &mut T {
        let (page, place) = place_of(slot);
        if self.pages.get(page).is_none_or(Option::is_none) {
            self.make(page);
        }
        let page = self.pages[page].as_mut().expect("it was just made");
        &mut page[place]
    }

    #[cold]
    fn make(&mut self, page: usize) {
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        self.pages[page] = Some((0..PAGE_SLOTS).map(|_| T::default()).collect());
    }

    /// How many pages there could be.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// What stands in the slots of a page; `None` when it does not exist.
    pub fn page(&self, page: usize) -> Option<&[T]> {
        self.pages.get(page)?.as_deref()
    }

    /// Gives a page back.
    pub fn free(&mut self, page: usize) {
        if let Some(page) = self.pages.get_mut(page) {
            *page = None;
        }
    }

    /// Gives everything back and hands out what there was, slot by slot.
    pub fn take(&mut self) -> impl Iterator<Item = (u32, T)> + use<T> {
        let pages = std::mem::take(&mut self.pages);
        let slots = |(page, slots): (u32, Option<Box<[T]>>)| {
            let slots = slots.into_iter().flat_map(<[T]>::into_vec);
            (page * PAGE_SLOTS..).zip(slots)
        };
        (0_u32..).zip(pages).flat_map(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_and_go() {
        let mut paged: Paged<u8> = Paged::default();
        assert_eq!(paged.get(7), None);
        *paged.place(1000) = 5;
        assert_eq!((paged.get(1000), paged.get(1001), paged.get(7)), (Some(&5), Some(&0), None));
        *paged.get_mut(1001).unwrap() = 6;
        *paged.place(7) = 4;
        assert!(paged.page(1).is_none() && paged.page(3).is_some() && paged.page(4).is_none());
        let all: Vec<(u32, u8)> = paged.take().filter(|(_, own)| *own > 0).collect();
        assert_eq!(all, [(7, 4), (1000, 5), (1001, 6)]);
        *paged.place(300) = 1;
        paged.free(1);
        paged.free(9);
        assert_eq!((paged.get(300), paged.pages()), (None, 2));
    }
}
