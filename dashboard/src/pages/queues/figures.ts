import { DOLLAR, money, short } from '~/parts/format'

/** Messages a second: 0/s, 0.3/s, 18/s, 1.2k/s. */
export const rate = (value: number): string => `${value >= 10 ? short(Math.round(value)) : Number(value.toFixed(1))}/s`

/** What a handler costs at most, of dollars an hour. */
export const ceiling = (dollars: number): string => `${money(dollars * DOLLAR)}/h`

/** So many seconds in ms, for <Duration>; those above the first ten whole, so that they do not flicker. */
export const spell = (seconds: number | null): number | null => (seconds === null ? null : seconds < 10 ? Math.round(seconds * 10) * 100 : Math.round(seconds) * 1000)
