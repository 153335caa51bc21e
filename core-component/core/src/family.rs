//! Families of constants: which may stand in one column of a joined INSERT without changing what
//! any of them means.

/// What a constant is, as far as that matters to those in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `NULL`
    Null,
    /// `DEFAULT`
    Default,
    /// Where columns number their rows: a number that is 0, also as text.
    Zero,
    /// Another number without a fraction.
    Integer,
    /// A text of digits only.
    Digits,
    /// A number with so many places behind the point.
    Decimal(u8),
    /// A number with an exponent.
    Float,
    /// Any other text.
    Text,
    /// `TRUE`, `FALSE`
    Boolean,
    /// One that names its type, by a digest of the name.
    Typed(u8),
}

/// Places behind the point are told apart up to so many.
pub(crate) const MOST_PLACES: usize = 200;

impl Family {
    /// What of it matters under a rule.
    #[inline]
    pub(crate) fn under(self, rule: FamilyRule) -> Self {
        match (rule, self) {
            (FamilyRule::Numbering, Self::Null | Self::Default | Self::Zero) => Self::Zero,
            (
                FamilyRule::Numbering,
                Self::Integer | Self::Digits | Self::Decimal(_) | Self::Float,
            ) => Self::Integer,
            (FamilyRule::Numbering, _) => Self::Text,
            _ => self,
        }
    }
}

/// The family of a text. Apart from where rows are read, as little is at hand there.
#[inline(never)]
pub(crate) fn of_text(rule: FamilyRule, text: &[u8]) -> Family {
    if !text.first().is_some_and(u8::is_ascii_digit) || !text.iter().all(u8::is_ascii_digit) {
        return Family::Text;
    }
    let is_zero = rule == FamilyRule::Numbering && text.iter().all(|byte| *byte == b'0');
    if is_zero { Family::Zero } else { Family::Digits }
}

/// What the constants of a column must have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FamilyRule {
    /// Nothing: each is assigned to its column by itself.
    Free,
    /// A column that numbers its rows by itself takes numbers in advance, for all rows of a
    /// statement: it must not be told some and asked for others.
    Numbering,
    /// The column of `VALUES` gets one type, to which each is converted before it is assigned:
    /// they must be of a kind.
    Kind,
    /// As `Kind`, and numbers must have as many places, which show where they become text.
    Scale,
}

/// What constants may stand in each column beside those that are there, as far as that is seen at
/// once: where the column remains what it is.
pub(crate) trait Columns: Copy {
    /// The rule that they are under.
    fn rule(self) -> FamilyRule;

    /// Whether a constant may stand in a column that remains what it is.
    fn take(self, column: usize, family: Family) -> bool;

    /// Whether a constant by itself would make a column what it is.
    fn makes(self, column: usize, family: Family) -> bool;
}

/// Columns of rows of which the first must make them what they are.
#[derive(Clone, Copy)]
pub(crate) struct Anew<C> {
    columns: C,
    /// Whether it is the first row that is read.
    pub(crate) is_first: bool,
}

impl<C> Anew<C> {
    pub(crate) fn new(columns: C, is_first: bool) -> Self {
        Self { columns, is_first }
    }
}

impl<C: Columns> Columns for Anew<C> {
    #[inline(always)]
    fn rule(self) -> FamilyRule {
        self.columns.rule()
    }

    #[inline(always)]
    fn take(self, column: usize, family: Family) -> bool {
        match self.is_first {
            true => self.columns.makes(column, family),
            false => self.columns.take(column, family),
        }
    }

    #[inline(always)]
    fn makes(self, column: usize, family: Family) -> bool {
        self.columns.makes(column, family)
    }
}

/// Columns under [`FamilyRule::Free`].
#[derive(Clone, Copy)]
pub(crate) struct Free;

impl Columns for Free {
    #[inline(always)]
    fn rule(self) -> FamilyRule {
        FamilyRule::Free
    }

    #[inline(always)]
    fn take(self, _: usize, _: Family) -> bool {
        true
    }

    #[inline(always)]
    fn makes(self, _: usize, _: Family) -> bool {
        true
    }
}

/// How many columns [`Numbering`] knows.
const MOST_COLUMNS: usize = u64::BITS as usize;

/// Columns under [`FamilyRule::Numbering`], as bits. Where there are more than that, numbers are left to
/// who looks closer, and so is what begins anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbering {
    /// Those whose rows are all numbered: they ask for that.
    asks: u64,
    /// Those that tell a number in each row.
    tells: u64,
    /// Those of texts only.
    texts: u64,
}

impl Numbering {
    pub(crate) fn new(families: &Families) -> Self {
        let mut new = Self::default();
        let few = families.columns.len() <= MOST_COLUMNS;
        for (column, family) in families.columns.iter().enumerate().filter(|_| few) {
            match family.under(FamilyRule::Numbering) {
                Family::Zero => new.asks |= 1 << column,
                Family::Integer => new.tells |= 1 << column,
                _ => new.texts |= 1 << column,
            }
        }
        new
    }
}

impl Columns for Numbering {
    #[inline(always)]
    fn rule(self) -> FamilyRule {
        FamilyRule::Numbering
    }

    #[inline(always)]
    fn take(self, column: usize, family: Family) -> bool {
        let is_one_of = |columns: u64| columns >> (column % MOST_COLUMNS) & 1 == 1;
        match family.under(FamilyRule::Numbering) {
            Family::Zero => is_one_of(self.asks),
            Family::Integer => is_one_of(self.tells),
            // Texts may stand beside all others.
            _ => true,
        }
    }

    #[inline(always)]
    fn makes(self, column: usize, family: Family) -> bool {
        let of_texts = self.texts >> (column % MOST_COLUMNS) & 1 == 1;
        let is_text = family.under(FamilyRule::Numbering) == Family::Text;
        if is_text { of_texts } else { self.take(column, family) }
    }
}

/// Columns under a rule that is known when the program runs.
#[derive(Clone, Copy)]
pub(crate) struct Ruled<'a> {
    rule: FamilyRule,
    known: &'a [Family],
}

impl<'a> Ruled<'a> {
    pub(crate) fn new(rule: FamilyRule, families: &'a Families) -> Self {
        Self { rule, known: &families.columns }
    }
}

impl Columns for Ruled<'_> {
    #[inline(always)]
    fn rule(self) -> FamilyRule {
        self.rule
    }

    #[inline(always)]
    fn take(self, column: usize, family: Family) -> bool {
        self.rule == FamilyRule::Free
            || self.known.get(column).is_some_and(|known| {
                let family = family.under(self.rule);
                *known == family || changes_nothing(self.rule, *known, family)
            })
    }

    #[inline(always)]
    fn makes(self, column: usize, family: Family) -> bool {
        let family = family.under(self.rule);
        self.rule == FamilyRule::Free || self.known.get(column) == Some(&family)
    }
}

/// Whether a column remains what it is, with a constant of another family.
#[cold]
#[inline(never)]
fn changes_nothing(rule: FamilyRule, known: Family, family: Family) -> bool {
    together(rule, known, family) == Some(known)
}

/// The families of the columns of some rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Families {
    columns: Vec<Family>,
    /// How many columns each row has; 0 before the first.
    width: usize,
}

impl Families {
    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        self.width = 0;
    }

    /// Puts a constant into a column; false where it may not stand there.
    pub(crate) fn put(&mut self, rule: FamilyRule, column: usize, family: Family) -> bool {
        if rule == FamilyRule::Free {
            return true;
        }
        let family = family.under(rule);
        match self.columns.get_mut(column) {
            None => {
                self.columns.push(family);
                true
            }
            Some(known) => together(rule, *known, family).map(|both| *known = both).is_some(),
        }
    }

    /// How many columns each row has; 0 before the first.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether a row of so many columns is as wide as those before.
    pub(crate) fn is_as_wide(&mut self, columns: usize) -> bool {
        let fits = self.width == 0 || self.width == columns;
        self.width = columns;
        fits
    }

    /// Whether the rows of another statement may stand behind these.
    pub(crate) fn fits(&self, rule: FamilyRule, others: &Self) -> bool {
        let mut pairs = self.columns.iter().zip(&others.columns);
        self.width == others.width
            && pairs.all(|(known, other)| together(rule, *known, *other).is_some())
    }

    /// Puts the rows of another statement, which fits, behind these.
    pub(crate) fn join(&mut self, rule: FamilyRule, others: &Self) {
        for (known, other) in self.columns.iter_mut().zip(&others.columns) {
            *known = together(rule, *known, *other).unwrap_or(*known);
        }
    }
}

/// What a column is that has both; none where it may not.
fn together(rule: FamilyRule, a: Family, b: Family) -> Option<Family> {
    use Family::{Decimal, Digits, Float, Integer, Null, Text};
    let is_number = |family| matches!(family, Integer | Decimal(_) | Float);
    let is_text = |family| matches!(family, Digits | Text);
    match rule {
        FamilyRule::Free => Some(a),
        // What asks for a number or tells one is remembered.
        FamilyRule::Numbering if a == b || b == Text => Some(a),
        FamilyRule::Numbering => (a == Text).then_some(b),
        _ if a == b || b == Null => Some(a),
        _ if a == Null => Some(b),
        FamilyRule::Kind if is_number(a) && is_number(b) => Some(a),
        _ => (is_text(a) && is_text(b)).then_some(Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Family::{Decimal, Default, Digits, Float, Integer, Null, Text, Typed, Zero};

    fn fits(rule: FamilyRule, column: &[Family]) -> bool {
        let mut families = Families::default();
        column.iter().all(|family| families.put(rule, 0, *family))
    }

    #[test]
    fn a_column_that_numbers_its_rows_is_not_told_some_and_asked_for_others() {
        let rule = FamilyRule::Numbering;
        for column in [&[Null, Integer][..], &[Integer, Zero], &[Text, Default, Digits]] {
            assert!(!fits(rule, column), "{column:?}");
        }
        for column in [&[Null, Null, Default, Zero][..], &[Integer, Digits], &[Null, Text]] {
            assert!(fits(rule, column), "{column:?}");
        }
    }

    #[test]
    fn a_column_of_one_type_has_constants_of_a_kind() {
        for (column, of_kind, of_scale) in [
            (&[Integer, Null, Integer][..], true, true),
            (&[Integer, Decimal(2)], true, false),
            (&[Decimal(2), Decimal(1)], true, false),
            (&[Float, Integer], true, false),
            (&[Text, Digits, Null], true, true),
            (&[Text, Integer], false, false),
            (&[Digits, Integer], false, false),
            (&[Typed(1), Typed(2)], false, false),
            (&[Typed(1), Null, Typed(1)], true, true),
        ] {
            assert_eq!(fits(FamilyRule::Kind, column), of_kind, "{column:?}");
            assert_eq!(fits(FamilyRule::Scale, column), of_scale, "{column:?}");
        }
        assert!(fits(FamilyRule::Free, &[Text, Integer, Float, Typed(3)]));
    }

    #[test]
    fn statements_fit_where_each_column_does() {
        let rule = FamilyRule::Kind;
        let of = |column: &[Family]| {
            let mut families = Families::default();
            for (index, family) in column.iter().enumerate() {
                families.put(rule, index, *family);
            }
            families.is_as_wide(column.len());
            families
        };
        let mut run = of(&[Null, Integer]);
        assert!(!run.fits(rule, &of(&[Text, Text])));
        assert!(!run.fits(rule, &of(&[Text])));
        run.join(rule, &of(&[Text, Null]));
        assert!(!run.fits(rule, &of(&[Integer, Integer])));
        assert!(run.fits(rule, &of(&[Null, Integer])));
    }
}
