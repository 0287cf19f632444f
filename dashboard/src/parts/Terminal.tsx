import { Skeleton } from '@mantine/core'
import { later } from './later'

const Screen = later(() => import('~/pages/job/terminal/screen'))

/** A shell in a running job; it fills the box in which it stands. F6 leaves it for the first button of its dialog or section. */
export const Terminal = ({ jid }: { jid: number }) => <Screen jid={jid} waiting={<Skeleton height="100%" />} />
