import { ActionIcon, Button, Menu, NativeSelect, TextInput } from '@mantine/core'
import { IconDots, IconMail, IconPlus } from '@tabler/icons-react'
import { useState } from 'react'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useLive } from '~/api/live'
import type { Shape } from '~/api/types'
import { Ago, type Column, Confirm, Dialog, Section, Status, Table, useConfirm } from '~/parts'
import { OneLink } from './link'

type Member = Shape<'MemberShown'>
interface Made {
  title: string
  link: string
  expires: number | undefined
  mailed: boolean | undefined
}

const ROLES = ['member', 'admin', 'owner']

/** All users and what they are where: added, invited, given another role or a link to a new password. */
export function Users() {
  const { data, error } = useLive('/v1/member', { all: true })
  const [opened, setOpened] = useState<'add' | 'invite'>()
  const [made, setMade] = useState<Made>()
  const gone = useConfirm<Member>()
  const place = useAction((one: Member, role: string) => post('/v1/member', { user: one.user, account: one.account, role }), { said: 'The change is made' })
  const link = useAction((user: string) => post('/v1/admin/user/password', { user }), {
    then: (answer) => setMade({ title: `A new password for ${answer.user}`, link: answer.link ?? '', expires: answer.expires, mailed: (answer as { mailed?: boolean }).mailed }),
  })
  const columns: Column<Member>[] = [
    { key: 'user', title: 'User', text: (one) => one.user, sort: (one) => one.user, cell: (one) => one.user },
    { key: 'email', title: 'E-mail', from: 'md', text: (one) => one.email, cell: (one) => one.email || <span className="pc-dim">none</span> },
    { key: 'account', title: 'Account', text: (one) => one.account, sort: (one) => one.account, cell: (one) => one.account },
    { key: 'role', title: 'Role', cell: (one) => <NativeSelect size="xs" w={110} aria-label={`Role of ${one.user} in ${one.account}`} data={ROLES} value={one.role} onChange={(event) => void place.run(one, event.currentTarget.value)} /> },
    { key: 'password', title: 'Password', from: 'sm', cell: (one) => (one.password ? 'set' : <Status state="waiting">none yet</Status>) },
    { key: 'created', title: 'Since', from: 'md', cell: (one) => <Ago at={one.created} /> },
    {
      key: 'act',
      title: '',
      align: 'right',
      cell: (one) => (
        <Menu position="bottom-end" shadow="sm">
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label={`More on ${one.user} in ${one.account}`}>
              <IconDots size={16} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => void link.run(one.user)}>A link to a new password</Menu.Item>
            <Menu.Item onClick={() => gone.open(one)}>Remove from {one.account}…</Menu.Item>
          </Menu.Dropdown>
        </Menu>
      ),
    },
  ]
  const actions = (
    <Button.Group>
      <Button variant="default" leftSection={<IconMail size={14} />} onClick={() => setOpened('invite')}>
        Invite
      </Button>
      <Button leftSection={<IconPlus size={14} />} onClick={() => setOpened('add')}>
        Add a user
      </Button>
    </Button.Group>
  )
  return (
    <Section title="Users" actions={actions}>
      <Table label="Users" columns={columns} rows={data?.members} error={error} expected={3} id={(one) => `${one.user}@${one.account}`} />
      {opened && <Add invites={opened === 'invite'} onClose={() => setOpened(undefined)} onMade={setMade} />}
      {made && <OneLink {...made} onClose={() => setMade(undefined)} />}
      <Confirm {...gone.dialog} title={`Remove ${gone.about?.user} from ${gone.about?.account}?`} action="Remove" run={() => gone.about && place.run(gone.about, 'none')}>
        She is logged out of it, and her keys for it are switched off. What she made stays.
      </Confirm>
    </Section>
  )
}

function Add({ invites, onClose, onMade }: { invites: boolean; onClose: () => void; onMade: (made: Made) => void }) {
  const { data } = useLive('/v1/admin/account')
  const [email, setEmail] = useState('')
  const [name, setName] = useState('')
  const [account, setAccount] = useState('')
  const [role, setRole] = useState('member')
  const add = useAction(
    async (): Promise<Made> => {
      const where = { email: email.trim(), account, role }
      if (invites) {
        const answer = await post('/v1/invitation', account ? where : { email: where.email, new: true })
        return { title: 'The invitation', link: answer.link, expires: answer.expires, mailed: (answer as { mailed?: boolean }).mailed }
      }
      const answer = await post('/v1/admin/user', { ...where, name: name.trim() })
      return { title: `${answer.user} sets a password by this link`, link: answer.link ?? '', expires: answer.expires, mailed: (answer as { mailed?: boolean }).mailed }
    },
    { quiet: true, then: onMade },
  )
  const accounts = data?.accounts.filter((one) => one.active).map((one) => one.name) ?? []
  return (
    <Dialog opened onClose={onClose} title={invites ? 'Invite somebody' : 'Add a user'} action={invites ? 'Make the link' : 'Add'} run={add.run} busy={add.busy} error={add.error}>
      <TextInput label="E-mail address" type="email" required={!invites} description={invites ? 'Left out, whoever has the link may use it, once' : undefined} value={email} onChange={(event) => setEmail(event.currentTarget.value)} data-autofocus />
      {!invites && <TextInput label="Name" description="Short, in small letters; left out, it is made from the address" pattern="[a-z][a-z0-9_\-]{0,31}" value={name} onChange={(event) => setName(event.currentTarget.value)} />}
      <NativeSelect label="Account" data={[{ value: '', label: 'a new one of her own' }, ...accounts]} value={account} onChange={(event) => setAccount(event.currentTarget.value)} />
      {account && <NativeSelect label="Role" data={ROLES} value={role} onChange={(event) => setRole(event.currentTarget.value)} />}
    </Dialog>
  )
}
