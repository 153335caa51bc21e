//! Families of constants: which may stand in one column of a joined INSERT without changing what
//! any of them means.

/// What a constant is, as far as that matters to those in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `NULL`
    Null,
    /// `DEFAULT`
    Default,
    /// A number that is 0, also as text.
    Zero,
    /// Another number without a fraction.
    Integer,
    /// A text of digits only, other than 0.
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

/// The family of a text.
#[inline]
pub(crate) fn of_text(text: &[u8]) -> Family {
    if !text.first().is_some_and(u8::is_ascii_digit) || !text.iter().all(u8::is_ascii_digit) {
        return Family::Text;
    }
    if text.iter().all(|byte| *byte == b'0') { Family::Zero } else { Family::Digits }
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

/// A rule that is known when the program runs, or when it is compiled.
pub(crate) trait Rule: Copy {
    /// Which rule it is.
    fn get(self) -> FamilyRule;
}

impl Rule for FamilyRule {
    #[inline(always)]
    fn get(self) -> FamilyRule {
        self
    }
}

/// [`FamilyRule::Free`]
#[derive(Clone, Copy)]
pub(crate) struct Free;

impl Rule for Free {
    #[inline(always)]
    fn get(self) -> FamilyRule {
        FamilyRule::Free
    }
}

/// [`FamilyRule::Numbering`]
#[derive(Clone, Copy)]
pub(crate) struct Numbering;

impl Rule for Numbering {
    #[inline(always)]
    fn get(self) -> FamilyRule {
        FamilyRule::Numbering
    }
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

    /// The family of each column, where that matters.
    pub(crate) fn columns(&self) -> &[Family] {
        &self.columns
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
    use Family::{Decimal, Float, Integer, Null, Text, Zero};
    let is_number = |family| matches!(family, Zero | Integer | Decimal(_) | Float);
    match rule {
        FamilyRule::Free => Some(a),
        // What asks for a number or tells one is remembered.
        FamilyRule::Numbering if a == b || b == Text => Some(a),
        FamilyRule::Numbering => (a == Text).then_some(b),
        _ if a == b || b == Null => Some(a),
        _ if a == Null => Some(b),
        FamilyRule::Kind if is_number(a) && is_number(b) => Some(a),
        _ => is_whole_or_text(a, b),
    }
}

/// Zeros are whole numbers, digits are text.
fn is_whole_or_text(a: Family, b: Family) -> Option<Family> {
    use Family::{Digits, Integer, Text, Zero};
    match (a, b) {
        (Zero | Integer, Zero | Integer) => Some(Integer),
        (Digits | Text, Digits | Text) => Some(Text),
        _ => None,
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
            (&[Integer, Null, Zero, Integer][..], true, true),
            (&[Integer, Decimal(2)], true, false),
            (&[Decimal(2), Decimal(1)], true, false),
            (&[Float, Integer], true, false),
            (&[Text, Digits, Null], true, true),
            (&[Text, Integer], false, false),
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
