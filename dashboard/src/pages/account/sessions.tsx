import { Button } from '@mantine/core'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { logOut } from '~/api/login'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Section, Status, Table, useConfirm } from '~/parts'

type Session = Shape<'SessionShown'>

/** Where one is logged in, and the ends of it. */
export function Sessions() {
  const { data, error } = useLive('/v1/session')
  const ask = useConfirm<Session | 'others'>()
  const end = useAction((which: Session | 'others') => post('/v1/session/end', which === 'others' ? { others: true } : { sessions: [which.session] }), { said: ({ ended }) => (ended === 1 ? 'One session is ended' : `${ended} sessions are ended`) })
  const leave = useAction(logOut)
  const rows = data?.sessions
  const columns: Column<Session>[] = [
    { key: 'agent', title: 'Browser or program', text: (one) => one.agent, cell: (one) => <>{named(one.agent)} {one.current && <Status state="active">this one</Status>}</> },
    { key: 'account', title: 'Account', from: 'md', text: (one) => one.account, cell: (one) => one.account },
    { key: 'created', title: 'Since', from: 'sm', cell: (one) => <Ago at={one.created} /> },
    { key: 'used', title: 'Last used', cell: (one) => <Ago at={one.used} /> },
    { key: 'expires', title: 'Ends', from: 'sm', cell: (one) => <Ago at={one.expires} /> },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) => (
        <Button size="compact-xs" variant="default" onClick={() => (one.current ? void leave.run() : ask.open(one))}>
          {one.current ? 'Log out' : 'End'}
        </Button>
      ),
    },
  ]
  const others = rows && rows.filter((one) => !one.current).length > 0 && (
    <Button variant="default" onClick={() => ask.open('others')}>
      End all others
    </Button>
  )
  const all = ask.about === 'others'
  return (
    <Section title="Sessions" actions={others}>
      <Table label="Sessions" columns={columns} rows={rows} error={error} expected={2} id={(one) => one.session} />
      <Confirm {...ask.dialog} title={all ? 'End all other sessions?' : 'End this session?'} action="End" run={() => ask.about && end.run(ask.about)}>
        {all ? 'Whoever is logged in as you elsewhere has to log in again.' : ask.about !== 'others' && ask.about?.agent}
      </Confirm>
    </Section>
  )
}

const BROWSERS = [['Edg/', 'Edge'], ['OPR/', 'Opera'], ['Firefox/', 'Firefox'], ['Chrome/', 'Chrome'], ['Safari/', 'Safari']] as const // prettier-ignore
const SYSTEMS = [['Android', 'Android'], ['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Windows', 'Windows'], ['Mac OS', 'macOS'], ['Linux', 'Linux']] as const // prettier-ignore

/** What browsers call themselves, as people call them. */
function named(agent: string): string {
  const browser = BROWSERS.find(([sign]) => agent.replace('HeadlessChrome/', 'Chrome/').includes(sign))?.[1]
  const system = SYSTEMS.find(([sign]) => agent.includes(sign))?.[1]
  if (!agent) return 'unknown'
  return browser ? [browser, system].filter(Boolean).join(' on ') : agent
}
