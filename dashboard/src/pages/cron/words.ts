import cronstrue from 'cronstrue'
import type { Shape } from '~/api/types'

/** A schedule in words; as it is where there are none for it. */
export function words({ schedule, day_or }: Shape<'CronShown'>): string {
  try {
    // A day fits both fields here, where Unix takes either.
    return cronstrue.toString(schedule, { use24HourTimeFormat: true, logicalAndDayFields: !day_or })
  } catch {
    return schedule
  }
}

const own = Intl.DateTimeFormat().resolvedOptions().timeZone

/** A moment in the zone of the cron, where that is not the reader's: "04:30, Europe/Vienna". */
export function there(at: number, zone: string): string | undefined {
  if (zone === own) return undefined
  try {
    const format = new Intl.DateTimeFormat(undefined, { timeZone: zone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    const here = new Intl.DateTimeFormat(undefined, { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    return format.format(at) === here.format(at) ? undefined : `${format.format(at)}, ${zone}`
  } catch {
    return undefined // a zone that this browser does not know
  }
}

/** What becomes of times at which something comes between. */
export const policy = ({ missed, overlap }: Shape<'CronShown'>): string[] => [
  missed === 'once' ? 'missed times: one run' : 'missed times: none',
  overlap === 'skip' ? 'one run at a time' : 'runs may overlap',
]

const WHY: Record<string, string> = {
  time: 'its time',
  hand: 'by hand',
  missed: 'for missed times',
  overlap: 'left out: the run before was not over',
  downtime: 'left out: no server ran',
  failed: 'could not be submitted',
}

/** Why there is a run, or none. */
export const why = (one: Shape<'RunShown'>): string => WHY[one.why] ?? one.why
