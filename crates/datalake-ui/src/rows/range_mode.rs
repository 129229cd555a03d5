//! Which values of a column a range selects.

/// Which values a range selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeMode {
    Any,
    Range,
    Lowest,
    Highest,
    Extremes,
    /// The lowest up to a maximum.
    LowestUpTo,
    /// The highest from a minimum on.
    HighestFrom,
}

impl RangeMode {
    pub(crate) const ALL: [Self; 7] = [
        Self::Any,
        Self::Range,
        Self::Lowest,
        Self::Highest,
        Self::Extremes,
        Self::LowestUpTo,
        Self::HighestFrom,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Range => "range",
            Self::Lowest => "lowest",
            Self::Highest => "highest",
            Self::Extremes => "extremes",
            Self::LowestUpTo => "lowest-up-to",
            Self::HighestFrom => "highest-from",
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::Range => "Range",
            Self::Lowest => "Lowest",
            Self::Highest => "Highest",
            Self::Extremes => "Lowest and highest",
            Self::LowestUpTo => "Lowest up to maximum",
            Self::HighestFrom => "Highest from minimum",
        }
    }

    /// The mode of a query's minimum and maximum.
    pub(crate) fn of(min: Option<&str>, max: Option<&str>) -> Self {
        match (min, max) {
            (None, None) => Self::Any,
            (Some(""), Some("")) => Self::Extremes,
            (Some(""), None) => Self::Lowest,
            (None, Some("")) => Self::Highest,
            (Some(""), Some(_)) => Self::LowestUpTo,
            (Some(_), Some("")) => Self::HighestFrom,
            _ => Self::Range,
        }
    }

    /// The values of the minimum and the maximum; none for a parameter without an effect.
    pub(crate) fn bounds<'a>(self, [min, max]: [&'a str; 2]) -> [Option<&'a str>; 2] {
        let filled = |bound: &'a str| Some(bound).filter(|bound| !bound.is_empty());
        match self {
            Self::Any => [None, None],
            Self::Range => [filled(min), filled(max)],
            Self::Lowest => [Some(""), None],
            Self::Highest => [None, Some("")],
            Self::Extremes => [Some(""), Some("")],
            Self::LowestUpTo => [Some(""), filled(max)],
            Self::HighestFrom => [filled(min), Some("")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_of_the_bounds_selects_them_again() {
        let values = [None, Some(""), Some("30"), Some("x")];
        for (min, max) in values.into_iter().flat_map(|min| values.map(|max| (min, max))) {
            let fields = [min.unwrap_or_default(), max.unwrap_or_default()];
            assert_eq!(RangeMode::of(min, max).bounds(fields), [min, max]);
        }
    }
}
