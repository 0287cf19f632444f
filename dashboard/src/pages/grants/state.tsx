import { Status, type Tone } from '~/parts'

const TONES: Record<string, Tone> = { sent: 'waits', awarded: 'good', declined: 'bad', withdrawn: 'off' }

/** What became of an application. */
export const State = ({ state }: { state: string }) => <Status state={state} tone={TONES[state]} />
