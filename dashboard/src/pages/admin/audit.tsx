import { Button, NativeSelect } from '@mantine/core'
import { useLive } from '~/api/live'
import { type Column, Empty, Pager, Search, Section, Table, Time, usePager, useQuery } from '~/parts'
import classes from './admin.module.css'

interface Act {
  id: number
  at: number
  act: string
  subject: string
  account: string | null
  user: string | null
  api_key: number
  jid: number
  address: string
  facts: Record<string, unknown>
}

const PAGE = 100
/** Nouns that acts are about. */
const NOUNS = ['account', 'application', 'call', 'environment', 'invitation', 'job', 'key', 'login', 'member', 'object', 'password', 'secret', 'session', 'sign_up', 'ssh_key', 'user', 'volume', 'webhook']

const facts = (one: Act) => Object.entries(one.facts).map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`).join(', ')
const who = (one: Act) => [one.user, one.api_key ? `key ${one.api_key}` : '', one.jid ? `job ${one.jid}` : ''].filter(Boolean).join(' ') || 'nobody known'

const COLUMNS: Column<Act>[] = [
  { key: 'at', title: 'When', width: 150, cell: (one) => <Time at={one.at} /> },
  { key: 'act', title: 'Act', text: (one) => one.act, cell: (one) => one.act },
  { key: 'subject', title: 'On', text: (one) => one.subject, cell: (one) => one.subject },
  { key: 'who', title: 'Who', text: who, cell: who },
  { key: 'account', title: 'Account', from: 'sm', text: (one) => one.account ?? '', cell: (one) => one.account ?? <span className="pc-dim">none</span> },
  { key: 'address', title: 'From', from: 'md', cell: (one) => one.address || 'this machine' },
  { key: 'facts', title: 'Facts', from: 'md', text: facts, cell: (one) => <span className="pc-dim">{facts(one)}</span> },
]

/** What was done that concerns security, the newest first. */
export function Audit() {
  const [{ act, user, account }, setQuery] = useQuery('act', 'user', 'account')
  const pages = usePager()
  const { data: all } = useLive('/v1/admin/account')
  const { data, error, stale } = useLive('/v1/audit', { limit: PAGE, before: pages.cursor ? Number(pages.cursor) : undefined, act, user, account })
  const rows = data?.acts as unknown as Act[] | undefined
  const filtered = act ?? user ?? account
  const names = all?.accounts.filter((one) => !one.going).map((one) => one.name) ?? []
  return (
    <Section
      title="Audit log"
      actions={
        <div className={classes.filters}>
          <NativeSelect size="xs" aria-label="Acts" data={[{ value: '', label: 'All acts' }, ...NOUNS]} value={act ?? ''} onChange={(event) => setQuery({ act: event.currentTarget.value })} />
          <NativeSelect size="xs" aria-label="Account" data={[{ value: '', label: 'All accounts' }, ...names]} value={account ?? ''} onChange={(event) => setQuery({ account: event.currentTarget.value })} />
          <Search label="User" value={user ?? ''} onChange={(value) => setQuery({ user: value })} />
          {filtered && (
            <Button variant="subtle" onClick={() => setQuery({ act: undefined, user: undefined, account: undefined })}>
              Clear
            </Button>
          )}
        </div>
      }
    >
      <Table label="Audit log" columns={COLUMNS} rows={rows} error={error} stale={stale} id={(one) => one.id} empty={<Empty title="Nothing of that kind was done">{filtered ? 'Other filters may find more.' : 'Logins, keys, invitations and the like stand here.'}</Empty>} />
      <div style={{ height: '0.5rem' }} />
      <Pager pages={pages} next={rows && rows.length === PAGE ? rows.at(-1)?.id : null} />
    </Section>
  )
}
