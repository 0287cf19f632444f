import { Checkbox, NativeSelect, Stack, TextInput } from '@mantine/core'
import { useWho } from '~/parts'

/** What each scope lets a key do. */
const SCOPES: Record<string, string> = {
  jobs: 'submit, kill, delete jobs, and ask about them',
  code: 'bring functions, programs, environments',
  bucket: 'files of bucket and volumes',
  queue: 'messages in and out',
  read: 'everything that only asks',
  admin: 'keys and members of the account',
}
const DAY = 86_400_000
const LASTS = [
  { value: '0', label: 'Never' },
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
]

export interface Wish {
  note: string
  scopes: string[]
  /** Days from now; "0" = never, "" = as it is. */
  lasts: string
}

/** Epoch ms; 0 = never. */
export const ends = (lasts: string): number => (Number(lasts) ? Date.now() + Number(lasts) * DAY : 0)

interface Props {
  wish: Wish
  change: (part: Partial<Wish>) => void
  /** Offers to leave the end as it is. */
  keeps?: boolean
}

/** Note, scopes and end of a key; only scopes that its maker has herself. */
export function Fields({ wish, change, keeps }: Props) {
  const { scopes } = useWho()
  return (
    <>
      <TextInput label="Note" description="What the key is for, such as the machine that has it" maxLength={200} value={wish.note} onChange={(event) => change({ note: event.currentTarget.value })} data-autofocus />
      <Checkbox.Group label="Scopes" description="What it may do, and no more" value={wish.scopes} onChange={(scopes) => change({ scopes })}>
        <Stack gap={6} mt="xs">
          {Object.entries(SCOPES)
            .filter(([name]) => scopes.includes(name) || wish.scopes.includes(name))
            .map(([name, does]) => (
              <Checkbox
                key={name}
                size="xs"
                value={name}
                disabled={!scopes.includes(name)}
                label={
                  <>
                    <strong>{name}</strong> <span className="pc-dim">{does}</span>
                  </>
                }
              />
            ))}
        </Stack>
      </Checkbox.Group>
      <NativeSelect label="Expires" data={keeps ? [{ value: '', label: 'As it is' }, ...LASTS] : LASTS} value={wish.lasts} onChange={(event) => change({ lasts: event.currentTarget.value })} />
    </>
  )
}
